"""A run's policy on validation tasks: the best one is kept, and figures show the last."""

import contextlib
from collections.abc import Iterator
from math import isnan
from pathlib import Path

import torch
from torch import Tensor

from maml_rl.machine.atomic_file import unused
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.machine.ranks import RankLost
from maml_rl.machine.stop_signals import Interrupted
from maml_rl.options.config import tasks_of
from maml_rl.options.wiring import Setting
from maml_rl.reports.evaluation import summarise
from maml_rl.runs.checkpoint import BEST, Checkpoint, best_value, save_checkpoint
from maml_rl.runs.directory import read_run
from maml_rl.runs.record import RunRecord
from maml_rl.schema.errors import Diverged, summary


class Validator:
    """Evaluates a run's policy on tasks drawn once for the run, which evaluation never draws.

    Each rank plays its share of them; the first draws the pictures, and writes.
    """

    def __init__(self, setting: Setting, record: RunRecord) -> None:
        """setting: the run's own; users' environments may be too large for a second set."""
        self._setting, self._record = setting, record

    def after_iteration(self, checkpoint: Checkpoint) -> None:
        """Validate, if it is time to, and keep the policy if its return after adaptation is the highest so far."""
        config = self._setting.config
        last = checkpoint.iteration == config.iterations
        if not config.keep_best or not (last or checkpoint.iteration % config.validate_every == 0):
            return
        measure = self._setting.measure
        scores = self._scores(checkpoint, self._setting.algorithm.trained_steps, "no validation", Diverged)
        value = float(scores[-1].nanmean())
        if not (self._record.writer and self._record.run_dir) or isnan(value):
            return
        self._record.writer.add_scalar(f"validation/{measure.name}", value, checkpoint.iteration - 1)
        checkpoints = self._record.run_dir / "checkpoints"
        before = self._best_value(checkpoints)
        better = measure.better(value, before)
        if better:
            save_checkpoint(checkpoints, checkpoint, config, (measure, value))
        if last:
            self._record.final(f"validation/{measure.name}", value if better else before, checkpoint.iteration)
        verdict = "the best so far" if better else f"the best was {measure.text(before)}"
        words = f"{measure.name} on validation tasks {measure.text(value)}, {verdict}"
        self._record.say(f"iteration {checkpoint.iteration}: {words}")

    def draw_figures(self, checkpoint: Checkpoint) -> None:
        """Put the figures of `maml_rl.plot` into TensorBoard: of the run, and of its policy on validation tasks."""
        scores = self._scores(checkpoint, self._setting.evaluation_steps, "no figures", Exception)
        with self._without("no figures", Exception):
            self._draw(checkpoint, scores)
        self._setting.ranks.wait_for_first()

    @contextlib.contextmanager
    def _without(self, what: str, kind: type[Exception]) -> Iterator[None]:
        """A block whose failure of some kind costs a line, and not the run."""
        try:
            yield
        except (Interrupted, RankLost):
            raise
        except kind as error:
            self._record.say(f"{what}: {summary(error)}")

    def _draw(self, checkpoint: Checkpoint, scores: Tensor) -> None:
        if self._record.writer and self._record.run_dir:
            from maml_rl.reports.figures import figure  # matplotlib takes a second to import: not as a run starts

            config, rows = read_run(self._record.run_dir)
            measure, tasks = self._setting.measure, tasks_of(config)
            result = {"name": config.algorithm, **summarise(scores, measure)}
            evaluation = {"tasks": tasks, "measure": measure, "results": [result], "step": self._setting.step}
            curves, steps = figure({tasks: {"": [rows]}}, []), figure({}, [evaluation])
            iteration = checkpoint.iteration - 1
            self._record.writer.add_figure("learning curves", curves, iteration)
            self._record.writer.add_figure(f"{self._setting.step}s on validation tasks", steps, iteration)

    def _best_value(self, folder: Path) -> float:
        """That of the best state so far. If its file is damaged, the file is moved aside and does not count."""
        try:
            return best_value(folder, self._setting.measure)
        except ValueError as error:
            aside = unused(f"{folder / BEST}.damaged")
            (folder / BEST).rename(aside)
            self._record.say(f"{summary(error)}; moved it to {aside}")
            return self._setting.measure.worst

    def _scores(self, checkpoint: Checkpoint, steps: int, what: str, kind: type[Exception]) -> Tensor:
        """[K + 1, M] of the validation tasks, of all ranks'; NaN of a rank's that fails (`_without`)."""
        ranks, tasks = self._setting.ranks, self._setting.validation_tasks()
        share = ranks.share(len(tasks))
        own = torch.full((steps + 1, share.stop - share.start), torch.nan).to(checkpoint.state["theta"].device).double()
        with self._without(what, kind):
            own = self._own_scores(checkpoint, tasks, steps)
        return ranks.join(own, len(tasks))  # the other ranks wait for these, whatever they are

    def _own_scores(self, checkpoint: Checkpoint, tasks: Tensor, steps: int) -> Tensor:
        """[K + 1, m], of this rank's share of the tasks."""
        setting = self._setting
        share = setting.ranks.share(len(tasks))
        draws = Draws(Purpose.VALIDATION_EPISODES, setting.config.seed, first_task=share.start)
        return setting.scores(checkpoint.state, tasks[share], draws, steps)
