"""A run's progress on standard error: a live bar on a terminal, plain lines elsewhere."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from maml_rl.machine.discard import discard
from maml_rl.meta.algorithm import Metrics


def say(line: str, stream: TextIO, bar: Progress | None) -> None:
    """Print a line, above the bar if there is one. A reader that has gone away does not end the work."""
    try:
        if bar:
            bar.console.print(line, markup=False)
        else:
            print(line, file=stream, flush=True)
    except OSError:
        discard(stream)


@contextlib.contextmanager
def shown(bar: Progress | None) -> Iterator[None]:
    """A block in which the bar is live, if there is one."""
    if bar:
        bar.start()
    try:
        yield
    finally:
        if bar:
            with contextlib.suppress(OSError):  # the terminal may be gone
                bar.stop()


class ProgressDisplay:
    """Bar, ETA, and the metrics before and after adaptation, for a run of `iterations`."""

    def __init__(self, name: str, iterations: int, done: int) -> None:
        self._name, self._iterations = name, iterations
        self._first, self._start = done, time.monotonic()
        self._stream = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - there is none after 2>&-
        self._console = Console(file=self._stream, highlight=False, soft_wrap=True)
        self._bar = self._make_bar() if self._stream.isatty() else None
        self._open = contextlib.ExitStack()
        if self._bar:
            self._task = self._bar.add_task(name, total=iterations, completed=done, summary="", phase="")

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        say(line, self._stream, self._bar)

    def phase(self, phase: str) -> None:
        """Say which part of the iteration is under way; seen on a terminal only."""
        if self._bar:
            self._bar.update(self._task, phase=phase)

    def update(self, done: int, metrics: Metrics, env_steps: int) -> None:
        """Show an iteration's metrics, if there are any. done: iterations up to now. env_steps: of this iteration."""
        if self._bar:
            self._bar.update(self._task, completed=done)
        if not metrics:
            return
        summary = summary_of(metrics, env_steps)
        if self._bar:
            self._bar.update(self._task, summary=summary)
        else:
            seconds = (time.monotonic() - self._start) / (done - self._first)
            eta = duration((self._iterations - done) * seconds)
            self.say(f"{self._name} {done}/{self._iterations}  {summary}  {seconds:.2g} s/iteration  eta {eta}")
        if metrics.get("episodes/diverged"):
            self.say(f"iteration {done}: {metrics['episodes/diverged']} episodes diverged and were left out")
        if not metrics.get("line_search/accepted", True):
            self.say(f"iteration {done}: the line search found no step; the policy stays as it was")

    def _make_bar(self) -> Progress:
        whole = Column(no_wrap=True)  # the bar gives way first
        columns: list[ProgressColumn] = [
            TextColumn("{task.description}", table_column=whole),
            BarColumn(bar_width=None),
            MofNCompleteColumn(table_column=whole),
            TextColumn("eta", table_column=whole),
            TimeRemainingColumn(table_column=whole),
            TextColumn("{task.fields[summary]}", table_column=whole),
        ]
        if self._console.width >= 110:  # on 80 columns these would push the others out
            columns += [
                TimeElapsedColumn(table_column=whole),
                TextColumn("[dim]{task.fields[phase]}", table_column=whole),
            ]
        return Progress(*columns, console=self._console, speed_estimate_period=3600)

    def __enter__(self) -> "ProgressDisplay":
        self._open.enter_context(shown(self._bar))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def said_in_tenths(aloud: bool) -> Callable[[int, int], None]:
    """A function that is told how many of how many pictures have been read, and says so after each tenth of them.

    aloud: if not, it says nothing, as on all ranks but the first.
    """
    said = 0

    def say(done: int, of: int) -> None:
        nonlocal said
        if aloud and done * 10 // of > said:
            said = done * 10 // of
            print(f"read {done} of {of} pictures", file=sys.stderr, flush=True)

    return say


def summary_of(metrics: Metrics, env_steps: int) -> str:
    """An iteration's metrics before and after adaptation, in words. env_steps: of this iteration."""
    if "return/pre" in metrics:
        returns = f"return {metrics['return/pre']:.1f} -> {metrics['return/post']:.1f}"
        return f"{returns}  {env_steps / metrics['time/iteration']:,.0f} steps/s"
    words = f"loss {metrics['loss/pre']:.3f} -> {metrics['loss/post']:.3f}"
    if "accuracy/pre" in metrics:
        words += f"  accuracy {metrics['accuracy/pre']:.1%} -> {metrics['accuracy/post']:.1%}"
    return words


def duration(seconds: float) -> str:
    """h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
