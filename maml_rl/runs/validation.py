"""A run's policy on validation tasks: the best one is kept, and figures show the last."""

import contextlib
from collections.abc import Iterator
from math import inf, isnan
from pathlib import Path

import torch
from torch import Tensor

from maml_rl.machine.atomic_file import unused
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.machine.ranks import RankLost
from maml_rl.machine.stop_signals import Interrupted
from maml_rl.options.wiring import Setting
from maml_rl.reports.evaluation import adapt_and_roll_out, summarise
from maml_rl.runs.checkpoint import BEST, Checkpoint, best_return, save_checkpoint
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
        returns = self._returns(checkpoint, self._setting.algorithm.trained_steps, "no validation", Diverged)
        validation_return = float(returns[-1].nanmean())
        if not (self._record.writer and self._record.run_dir) or isnan(validation_return):
            return
        self._record.writer.add_scalar("validation/return", validation_return, checkpoint.iteration - 1)
        checkpoints = self._record.run_dir / "checkpoints"
        before = self._best_return(checkpoints)
        if validation_return > before:
            save_checkpoint(checkpoints, checkpoint, config, validation_return)
        verdict = "the best so far" if validation_return > before else f"the best was {before:.1f}"
        iteration = f"iteration {checkpoint.iteration}"
        self._record.say(f"{iteration}: return on validation tasks {validation_return:.1f}, {verdict}")

    def draw_figures(self, checkpoint: Checkpoint) -> None:
        """Put the figures of `maml_rl.plot` into TensorBoard: of the run, and of its policy on validation tasks."""
        returns = self._returns(checkpoint, self._setting.evaluation_steps, "no figures", Exception)
        with self._without("no figures", Exception):
            self._draw(checkpoint, returns)
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

    def _draw(self, checkpoint: Checkpoint, returns: Tensor) -> None:
        if self._record.writer and self._record.run_dir:
            from maml_rl.reports.figures import figure  # matplotlib takes a second to import: not as a run starts

            config, rows = read_run(self._record.run_dir)
            result = {"name": config.algorithm, **summarise(returns)}
            evaluation = {"env": config.env, "results": [result], "step": self._setting.step}
            curves, steps = figure({config.env: {"": [rows]}}, []), figure({}, [evaluation])
            iteration = checkpoint.iteration - 1
            self._record.writer.add_figure("learning curves", curves, iteration)
            self._record.writer.add_figure(f"{self._setting.step}s on validation tasks", steps, iteration)

    def _best_return(self, folder: Path) -> float:
        """The return of the best policy so far. If its file is damaged, the file is moved aside and does not count."""
        try:
            return best_return(folder)
        except ValueError as error:
            aside = unused(f"{folder / BEST}.damaged")
            (folder / BEST).rename(aside)
            self._record.say(f"{summary(error)}; moved it to {aside}")
            return -inf

    def _returns(self, checkpoint: Checkpoint, steps: int, what: str, kind: type[Exception]) -> Tensor:
        """Mean returns [K + 1, M] of the validation tasks, of all ranks'; NaN of a rank's that fails (`_without`)."""
        ranks, num_tasks = self._setting.ranks, self._setting.config.num_tasks
        share = ranks.share(num_tasks)
        own = torch.full((steps + 1, share.stop - share.start), torch.nan).to(checkpoint.state["theta"].device).double()
        with self._without(what, kind):
            own = self._own_returns(checkpoint, steps)
        return ranks.join(own, num_tasks)  # the other ranks wait for these, whatever they are

    def _own_returns(self, checkpoint: Checkpoint, steps: int) -> Tensor:
        """[K + 1, m], of this rank's tasks."""
        setting, config = self._setting, self._setting.config
        share = setting.ranks.share(config.num_tasks)
        tasks = setting.family.sample_tasks(config.num_tasks, keyed(Purpose.VALIDATION_TASKS, config.seed))
        draws = Draws(Purpose.VALIDATION_EPISODES, config.seed, first_task=share.start)
        rollouts = setting.rollouts(tasks[share], draws)
        return adapt_and_roll_out(setting.algorithm, checkpoint.state, rollouts, steps).returns()
