"""What a run does beside learning: it keeps the policy that is best on validation tasks, and films it."""

import dataclasses
import io
from collections.abc import Sequence

from torch import Tensor

from envs import TaskEnv
from envs.pictures.offscreen import RenderingError
from maml_rl.machine.ranks import ALONE, Ranks
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import Config
from maml_rl.options.wiring import make_envs
from maml_rl.reports.evaluation import adapt_and_roll_out, default_gradient_steps, sample_tasks, summarise
from maml_rl.reports.video import episodes_side_by_side, write_gif, write_video
from maml_rl.rl.keys import Purpose
from maml_rl.runs.checkpoint import State, best_return, save_checkpoint
from maml_rl.runs.directory import read_run
from maml_rl.runs.metrics_file import MetricsWriter
from maml_rl.runs.record import RunRecord

VIDEO_SIZE = (320, 240)  # pixels


class Validator:
    """Evaluates a run's policy on tasks drawn once for the run, which evaluation never draws.

    Each rank plays its share of them; the first draws the pictures, and writes.
    """

    def __init__(
        self, config: Config, env_parts: Sequence[TaskEnv], policy: MlpPolicy, record: RunRecord, ranks: Ranks = ALONE
    ) -> None:
        """env_parts: the run's own; users' environments may be too large for a second set."""
        self._config, self._policy, self._record, self._ranks = config, policy, record, ranks
        self._env_parts = env_parts
        self._film = config.video_every > 0

    def after_iteration(self, state: State) -> None:
        """Validate and film, where it is time to. `state` has done `state.iteration` meta-updates."""
        last = state.iteration == self._config.iterations
        if self._config.keep_best and (last or state.iteration % self._config.validate_every == 0):
            self._validate(state)
        if self._config.video_every > 0 and state.iteration % self._config.video_every == 0:
            if self._record.writer and self._film:
                self._make_video(state, self._record.writer)
            self._ranks.wait_for_first()

    def draw_figures(self, state: State) -> None:
        """Put the figures of `maml_rl.plot` into TensorBoard: of the run, and of its policy on validation tasks."""
        returns = self._returns(state.theta, default_gradient_steps(self._config))
        if self._record.writer and self._record.run_dir:
            from maml_rl.reports.figures import figure  # matplotlib takes a second to import: not at the start of a run

            config, rows = read_run(self._record.run_dir)
            evaluation = {"env": config.env, "results": [{"name": config.algorithm, **summarise(returns)}]}
            curves, steps = figure({config.env: {"": [rows]}}, []), figure({}, [evaluation])
            self._record.writer.add_figure("learning curves", curves, state.iteration - 1)
            self._record.writer.add_figure("gradient steps on validation tasks", steps, state.iteration - 1)
        self._ranks.wait_for_first()

    def _validate(self, state: State) -> None:
        """Keep the policy where its return after the inner steps is the highest so far."""
        validation_return = float(self._returns(state.theta, self._config.trained_inner_steps)[-1].nanmean())
        if not (self._record.writer and self._record.run_dir):
            return
        self._record.writer.add_scalar("validation/return", validation_return, state.iteration - 1)
        checkpoints = self._record.run_dir / "checkpoints"
        before = best_return(checkpoints)
        if validation_return > before:
            save_checkpoint(checkpoints, state, self._policy, self._config, validation_return)
        verdict = "the best so far" if validation_return > before else f"the best was {before:.1f}"
        self._record.say(f"iteration {state.iteration}: return on validation tasks {validation_return:.1f}, {verdict}")

    def _make_video(self, state: State, writer: MetricsWriter) -> None:
        assert self._record.run_dir, "who has a writer has a run directory"
        # A replay leads through the very same states on the CPU only.
        config = dataclasses.replace(self._config, num_tasks=1, physics="cpu")
        tasks = self._tasks(1)
        adaptation = adapt_and_roll_out(
            config,
            make_envs(config),
            self._policy,
            state.theta,
            tasks,
            config.trained_inner_steps,
            config.seed,
            Purpose.VALIDATION_EPISODES,
        )
        folder = self._record.run_dir / "videos"
        folder.mkdir(exist_ok=True)
        path = folder / f"iteration-{state.iteration:06d}.mp4"
        try:
            purpose = Purpose.VALIDATION_EPISODES
            frames, fps = episodes_side_by_side(config, tasks, adaptation, config.seed, purpose, *VIDEO_SIZE)
        except RenderingError as error:
            self._film = False
            self._record.say(f"no videos: {error}")
            return
        pictures = list(frames)
        write_video(path, iter(pictures), fps)
        gif = io.BytesIO()
        write_gif(gif, iter(pictures), fps)
        writer.add_gif("episodes", gif.getvalue(), pictures[0].shape[:2], state.iteration - 1)

    def _returns(self, theta: Tensor, gradient_steps: int) -> Tensor:
        """Mean returns [K + 1, M] of the validation tasks, of all ranks'."""
        share = self._ranks.share(self._config.num_tasks)
        adaptation = adapt_and_roll_out(
            self._config,
            self._env_parts,
            self._policy,
            theta,
            self._tasks(self._config.num_tasks)[share],
            gradient_steps,
            self._config.seed,
            Purpose.VALIDATION_EPISODES,
            first_task=share.start,
        )
        return self._ranks.join(adaptation.returns(), self._config.num_tasks)

    def _tasks(self, num_tasks: int) -> Tensor:
        return sample_tasks(self._env_parts[0], num_tasks, self._config.seed, Purpose.VALIDATION_TASKS)
