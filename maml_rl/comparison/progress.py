"""Progress over all runs of a comparison, with the time left: a live bar on a terminal, plain lines elsewhere."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from maml_rl.comparison.jobs import Job
from maml_rl.comparison.plan import Plan, PlannedRun
from maml_rl.runs.progress import duration, say

EVERY = 1.0  # s, between two looks at the files of the runs
SAID_EVERY = 60.0  # s, between two plain lines
TAIL = 100_000  # bytes of a metrics.jsonl, of which the last whole row is taken


@dataclass(frozen=True)
class Standing:
    """How far a run is."""

    done: int  # iterations
    wanted: int | None  # None: not known before the first one
    seconds: float | None  # of an iteration; None before the first


class ComparisonProgress:
    """Says which runs are under way, how much is done, and the time left; `bar`, on a terminal, is to be shown."""

    def __init__(self, plan: Plan, jobs: int) -> None:
        self._plan, self._jobs = plan, jobs
        self._stream = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - there is none after 2>&-
        self._looked, self._said = -EVERY, time.monotonic()
        self._finished: set[str] = set()
        console = Console(file=self._stream, highlight=False, soft_wrap=True)
        text = TextColumn("{task.description}", markup=False)
        self.bar = Progress(text, BarColumn(), console=console) if self._stream.isatty() else None
        self._task = self.bar.add_task("", total=1.0) if self.bar else None

    def watch(self, running: Sequence[Job], done: Sequence[Job]) -> None:
        """Look at the runs, now and then, and say what has changed."""
        for job in done:
            if job.name not in self._finished:
                self._finished.add(job.name)
                words = f"failed: {job.error}" if job.error else "done"
                self._say(f"{job.name}: {words} ({len(self._finished)} of {len(self._plan.runs)} runs)")
        now = time.monotonic()
        if now - self._looked < EVERY:
            return
        self._looked = now
        standings = {run.name: standing(run, self._plan.env_steps) for run in self._plan.runs}
        share, left = overall(self._plan.runs, standings, self._finished, self._jobs)
        parts = []
        for job in running:
            at = standings[job.name]
            parts.append(
                f"{job.name} {at.done}/{at.wanted or '?'}" if job.word == "train" else f"{job.name} {job.word}"
            )
        when = "" if left is None else f"  left {duration(left)}"
        line = f"{len(self._finished)} of {len(self._plan.runs)} runs  {', '.join(parts)}{when}"
        if self.bar and self._task is not None:
            self.bar.update(self._task, completed=share, description=line[: self.bar.console.width - 45])
        elif now - self._said >= SAID_EVERY:
            self._said = now
            self._say(line)

    def _say(self, line: str) -> None:
        say(line, self._stream, self.bar)


def standing(run: PlannedRun, env_steps: int | None) -> Standing:
    """How far a run is, by the last whole row of its metrics."""
    row = _last_row(run.folder / "metrics.jsonl")
    wanted = None if env_steps else run.config.iterations
    if row is None:
        return Standing(0, wanted, None)
    done = row["iteration"] + 1
    if env_steps and row.get("env_steps"):
        wanted = max(1, -(-env_steps * done // row["env_steps"]))
    return Standing(done, wanted, row.get("time/iteration"))


def overall(
    runs: Sequence[PlannedRun], standings: dict[str, Standing], finished: set[str], jobs: int
) -> tuple[float, float | None]:
    """The share of all work that is done, by time, and the seconds left; None if no run has begun.

    A run without an iteration takes as long as another of its label, or else as the mean of the others.
    """
    seconds: dict[str, list[float]] = {}
    for run in runs:
        at = standings[run.name]
        if at.seconds is not None and at.wanted is not None:
            seconds.setdefault(run.label, []).append(at.seconds * at.wanted)
    if not seconds:
        return 0.0, None
    typical = mean(mean(each) for each in seconds.values())
    whole, left, longest = 0.0, 0.0, 0.0
    for run in runs:
        at = standings[run.name]
        length = mean(seconds[run.label]) if run.label in seconds else typical
        missing = 0.0 if run.name in finished else 1 - (at.done / at.wanted if at.wanted else 0)
        whole, left, longest = whole + length, left + missing * length, max(longest, missing * length)
    return 1 - left / max(whole, 1e-9), max(left / jobs, longest)


def _last_row(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().split(b"\n")
        return json.loads(lines[-2])
    except (OSError, ValueError, IndexError):
        return None  # it is not there yet
