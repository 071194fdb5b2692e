"""The record of a run while it goes on: metrics, checkpoints, and lines on standard error."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.meta.algorithm import Metrics
from maml_rl.options.config import Config, DataConfig, RlConfig, tasks_of
from maml_rl.runs.checkpoint import Checkpoint, checkpoint_name, save_checkpoint
from maml_rl.runs.directory import write_config
from maml_rl.runs.hyper_parameters import FINAL, session_end, session_start
from maml_rl.runs.metrics_file import MetricsWriter
from maml_rl.runs.progress import ProgressDisplay

MANY_OUTSIDE = 0.5  # share of actions that are outside of their bounds, above which a user is warned
REJECTED = (3, 10, 30, 100)  # line searches in a row without a step, at which a user is warned


class RunRecord:
    """Writes into the run directory and shows progress. Without a directory, as on all ranks but the first, does not.

    Raises UsageError if the directory's metrics cannot be continued.
    """

    def __init__(self, config: Config, run_dir: Path | None, first_iteration: int, lines: Sequence[str] = ()) -> None:
        """lines: how the run was begun or resumed, for TensorBoard."""
        self._config, self.run_dir = config, run_dir
        self._metrics: Metrics = {}  # the last ones
        self._rejected = 0  # line searches without a step, up to now
        self.last_checkpoint = run_dir / "checkpoints" / checkpoint_name(first_iteration) if run_dir else None
        self._open = contextlib.ExitStack()
        self.writer: MetricsWriter | None = None
        self._progress: ProgressDisplay | None = None
        if run_dir:
            every = config.metrics_every if isinstance(config, DataConfig) else 1
            self.writer = self._open.enter_context(MetricsWriter(run_dir, first_iteration, every))
            progress = ProgressDisplay(tasks_of(config), config.iterations, first_iteration)
            self._progress = self._open.enter_context(progress)
            write_config(run_dir, config)
            self.writer.add_summary(session_start(config), first_iteration)
            self.writer.add_text("command", list(lines), first_iteration)
            since = f", from iteration {first_iteration} on" if first_iteration else ""
            self.say(f"writing to {run_dir}{since}")
            if self.writer.notice:
                self.say(self.writer.notice)

    def say(self, line: str) -> None:
        """Print a line."""
        if self._progress:
            self._progress.say(line)

    def phase(self, phase: str) -> None:
        """Say which part of the iteration is under way."""
        if self._progress:
            self._progress.phase(phase)

    def iteration(self, done: int, metrics: Metrics, env_steps: int) -> None:
        """Write an iteration's metrics, if there are any. done: iterations up to now. env_steps: of this iteration."""
        if self.writer and self._progress:
            if metrics:
                self.writer.write(metrics)
                self._metrics = metrics
            self._progress.update(done, metrics, env_steps)
            if metrics.get("iteration") == 0 and isinstance(self._config, RlConfig):
                for line in first_policy(metrics):
                    self.say(line)
            self._rejected = 0 if metrics.get("line_search/accepted", True) else self._rejected + 1
            if self._rejected in REJECTED:
                self.say(stuck(metrics, self._rejected, ALGORITHMS[self._config.algorithm].step_size))

    def final(self, key: str, value: float, done: int) -> None:
        """A value to compare runs by, in TensorBoard. key: of the metric. done: iterations up to now."""
        if self.writer:
            self.writer.add_scalar(f"{FINAL}{key}", value, done - 1)

    def finish(self, done: int, metric: str) -> None:
        """Say in TensorBoard that the run has come to its end, and with which value of a metric."""
        if self.writer:
            if metric in self._metrics:  # of few iterations of a data set there are none
                self.final(metric, self._metrics[metric], done)
            self.writer.add_summary(session_end(), done - 1)

    def checkpoint(self, checkpoint: Checkpoint) -> Path | None:
        """Write a checkpoint, and return its path."""
        if self.run_dir:
            self.last_checkpoint = save_checkpoint(self.run_dir / "checkpoints", checkpoint, self._config)
        return self.last_checkpoint

    def __enter__(self) -> "RunRecord":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def first_policy(metrics: Metrics) -> list[str]:
    """Lines for the user about the untrained policy: a policy that begins badly learns slowly or not at all."""
    lived = f"{metrics['episodes/lived']:.0%} of the horizon lived"
    outside = metrics.get("actions/outside")  # not of choices, which have no bounds
    if outside is None:
        return [f"the first policy: {lived}"]
    lines = [f"the first policy: {outside:.0%} of its actions are outside of their bounds, {lived}"]
    if outside > MANY_OUTSIDE:
        lines.append(
            "warning: the env clips most of what the first policy does, so that learning changes little: "
            "set --output-scale 0.1, or a lower --init-log-std such as -1"
        )
    return lines


def stuck(metrics: Metrics, times: int, step_size: str) -> str:
    """A line for the user if the line search has found no step `times` times in a row: the likely reason.

    step_size: the option of the inner loop's.
    """
    scale, inner_kl = metrics.get("observations/rms", 1.0), metrics.get("inner_kl", 0.0)
    if not 0.01 < scale < 10:
        reason = f"observations are far from unit scale (RMS {scale:.2g}): rescale them"
    elif inner_kl > 1:
        reason = f"the inner step changes the policy too much (KL {inner_kl:.2g} nats): lower {step_size}"
    else:
        reason = "the gradient may be mostly noise: raise --num-tasks or --episodes-per-task, or --cg-damping"
    return f"warning: the line search has found no step {times} times in a row, and the policy does not learn: {reason}"
