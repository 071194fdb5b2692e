"""What a run does beside learning: it keeps the policy that is best on validation tasks, and films it."""

import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from envs import TaskEnv
from envs.offscreen import RenderingError
from maml_rl.checkpoint import State, best_return, save_checkpoint
from maml_rl.config import Config
from maml_rl.evaluation import VALIDATION, Adaptation, adapt_and_roll_out, default_gradient_steps, sample_tasks
from maml_rl.metrics import MetricsWriter
from maml_rl.policies import MlpPolicy
from maml_rl.run_directory import read_run
from maml_rl.video import episodes_side_by_side, write_gif, write_video
from maml_rl.wiring import make_envs

VIDEO_SIZE = (320, 240)  # pixels


class Validator:
    """Evaluates a run's policy on tasks drawn once for the run, which evaluation never draws."""

    def __init__(
        self,
        config: Config,
        env_parts: Sequence[TaskEnv],
        policy: MlpPolicy,
        run_dir: Path,
        say: Callable[[str], None],
    ) -> None:
        """env_parts: the run's own; users' environments may be too large for a second set. say: prints a line."""
        self._config, self._policy, self._run_dir, self._say = config, policy, run_dir, say
        self._env_parts = env_parts
        self._film = config.video_every > 0

    def after_iteration(self, state: State, writer: MetricsWriter) -> None:
        """Validate and film, where it is time to. `state` has done `state.iteration` meta-updates."""
        last = state.iteration == self._config.iterations
        if self._config.keep_best and (last or state.iteration % self._config.validate_every == 0):
            self._validate(state, writer)
        if self._film and state.iteration % self._config.video_every == 0:
            self._make_video(state, writer)

    def draw_figures(self, state: State, writer: MetricsWriter) -> None:
        """Put the figures of `maml_rl.plot` into TensorBoard: of the run, and of its policy on validation tasks."""
        from maml_rl.figures import figure  # matplotlib takes a second to import: not at the start of a run

        config, rows = read_run(self._run_dir)
        adaptation = self._adapt(self._config, state.theta, default_gradient_steps(config))
        evaluation = {"env": config.env, "results": [{"name": config.algorithm, **adaptation.summary()}]}
        writer.add_figure("learning curves", figure({config.env: {"": [rows]}}, []), state.iteration - 1)
        writer.add_figure("gradient steps on validation tasks", figure({}, [evaluation]), state.iteration - 1)

    def _validate(self, state: State, writer: MetricsWriter) -> None:
        """Keep the policy where its return after the inner steps is the highest so far."""
        adaptation = self._adapt(self._config, state.theta, self._config.trained_inner_steps)
        validation_return = float(adaptation.returns()[-1].nanmean())
        writer.add_scalar("validation/return", validation_return, state.iteration - 1)
        checkpoints = self._run_dir / "checkpoints"
        before = best_return(checkpoints)
        if validation_return > before:
            save_checkpoint(checkpoints, state, self._policy, self._config, validation_return)
        verdict = "the best so far" if validation_return > before else f"the best was {before:.1f}"
        self._say(f"iteration {state.iteration}: return on validation tasks {validation_return:.1f}, {verdict}")

    def _make_video(self, state: State, writer: MetricsWriter) -> None:
        # A replay leads through the very same states on the CPU only.
        config = dataclasses.replace(self._config, num_tasks=1, physics="cpu")
        adaptation = self._adapt(config, state.theta, config.trained_inner_steps)
        folder = self._run_dir / "videos"
        folder.mkdir(exist_ok=True)
        path = folder / f"iteration-{state.iteration:06d}.mp4"
        try:
            tasks = self._tasks(config)
            frames, fps = episodes_side_by_side(config, tasks, adaptation, config.seed, VALIDATION, *VIDEO_SIZE)
        except RenderingError as error:
            self._film = False
            self._say(f"no videos: {error}")
            return
        pictures = list(frames)
        write_video(path, iter(pictures), fps)
        gif = io.BytesIO()
        write_gif(gif, iter(pictures), fps)
        writer.add_gif("episodes", gif.getvalue(), pictures[0].shape[:2], state.iteration - 1)

    def _adapt(self, config: Config, theta: Tensor, gradient_steps: int) -> Adaptation:
        env_parts = self._env_parts if config is self._config else make_envs(config)
        tasks = self._tasks(config)
        return adapt_and_roll_out(
            config, env_parts, self._policy, theta, tasks, gradient_steps, config.seed, VALIDATION
        )

    def _tasks(self, config: Config) -> Tensor:
        probe = make_envs(dataclasses.replace(config, num_tasks=1, episodes_per_task=1, physics="cpu"))[0]
        return sample_tasks(probe, config.num_tasks, config.seed, VALIDATION)
