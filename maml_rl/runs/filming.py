"""Videos of a run's policy on a validation task, as it learns."""

import dataclasses
import io

from maml_rl.envs.errors import FamilyError, WorkerError
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.machine.ranks import ALONE
from maml_rl.options.rl_wiring import RlSetting, make_rl_setting
from maml_rl.reports.evaluation import adapt_and_roll_out
from maml_rl.reports.video import episodes_side_by_side, write_gif, write_video
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.record import RunRecord
from maml_rl.schema.errors import summary

SIZE = (320, 240)  # pixels


class Filming:
    """Writes videos/iteration-000123.mp4 into the run directory, and the same as a GIF for TensorBoard."""

    def __init__(self, setting: RlSetting, record: RunRecord) -> None:
        self._ranks, self._record = setting.ranks, record
        self._every = setting.config.video_every
        self._possible = True
        # A replay leads through the very same states on the CPU only.
        self._config = dataclasses.replace(setting.config, num_tasks=1, physics="cpu")
        self._family, self._num_tasks = setting.family, setting.config.num_tasks

    def after_iteration(self, checkpoint: Checkpoint) -> None:
        """Film, if it is time to. The first rank does; the others wait for it."""
        if self._every == 0 or checkpoint.iteration % self._every:
            return
        if self._record.writer and self._possible:
            try:
                self._film(checkpoint)
            except (OSError, FamilyError, WorkerError) as error:
                self._record.say(f"iteration {checkpoint.iteration}: no video: {summary(error)}")
        self._ranks.wait_for_first()

    def _film(self, checkpoint: Checkpoint) -> None:
        assert self._record.run_dir, "a record with a writer has a run directory"
        assert self._record.writer
        config = self._config
        setting = make_rl_setting(config, ALONE, self._family)
        tasks = setting.family.sample_tasks(self._num_tasks, keyed(Purpose.VALIDATION_TASKS, config.seed))[:1]
        draws = Draws(Purpose.VALIDATION_EPISODES, config.seed)
        steps = setting.algorithm.trained_steps
        rollouts = setting.problem(tasks, draws)
        adaptation = adapt_and_roll_out(setting.algorithm, checkpoint.state, rollouts, steps)

        folder = self._record.run_dir / "videos"
        folder.mkdir(exist_ok=True)
        path = folder / f"iteration-{checkpoint.iteration:06d}.mp4"
        try:
            frames, fps = episodes_side_by_side(
                config.env, setting.family, tasks, adaptation, draws, SIZE, setting.step
            )
            pictures = list(frames)
        except RenderingError as error:
            self._possible = False
            self._record.say(f"no videos: {error}")
            return
        write_video(path, iter(pictures), fps)
        gif = io.BytesIO()
        write_gif(gif, iter(pictures), fps)
        self._record.writer.add_gif("episodes", gif.getvalue(), pictures[0].shape[:2], checkpoint.iteration - 1)
