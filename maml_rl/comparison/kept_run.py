"""What a comparison keeps of each run: how it learned, and what it has on every task. Small enough for a repository."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from maml_rl.comparison.plan import PlannedRun
from maml_rl.options.config import Config, DataConfig
from maml_rl.options.yaml_file import load_stored
from maml_rl.reports.measure import Measure
from maml_rl.runs.directory import read_run
from maml_rl.schema.bounds import Within, check_value
from maml_rl.schema.errors import UsageError, shown

MAX_POINTS = 100  # of a curve
MAX_OPTIONS = 200
DIGITS = 4  # significant ones, of every number that is kept

Number = Annotated[float | None, Within(-1e30, 1e30)]
Growing = Annotated[float, Within(0, 1e18)]
FIELDS: dict[str, Any] = {
    "label": str,
    "algorithm": str,
    "seed": Annotated[int, Within(0, 2**32 - 1)],
    "iterations": Annotated[int, Within(0, 10**12)],
    "done": tuple[Growing, ...],
    "seconds": tuple[Growing, ...],
    "pre": tuple[Number, ...],
    "post": tuple[Number, ...],
}
SCORES = tuple[Number, ...]


@dataclass(frozen=True)
class KeptRun:
    """A run that was trained and evaluated."""

    label: str  # the same for all seeds
    algorithm: str
    seed: int
    iterations: int
    options: dict[str, Any]  # those that are not its preset's
    done: list[float]  # up to some iterations, at most MAX_POINTS: env steps, or of a data set iterations
    seconds: list[float]  # up to then
    pre: list[
        float | None
    ]  # the measure before adaptation, a mean over the tasks of the iterations since the one before
    post: list[float | None]  # after adaptation
    scores: list[list[float | None]]  # [K + 1, M], after 0 to K steps on each task that was evaluated on

    @property
    def matrix(self) -> np.ndarray:
        """The scores [K + 1, M]; NaN if a policy diverged."""
        return np.array(self.scores, dtype=float)


def kept(planned: PlannedRun, evaluation: dict[str, Any], measure: Measure) -> KeptRun:
    """What is kept of a run that is done. evaluation: its JSON. Raises UsageError if the run's files are broken."""
    config, rows = read_learning(planned.folder)
    gaps = np.diff([row["iteration"] for row in rows], prepend=-1)
    seconds = np.cumsum([gap * row["time/iteration"] for gap, row in zip(gaps, rows, strict=True)])
    done = [row.get("env_steps", row["iteration"] + 1) for row in rows]
    [result] = evaluation["results"]
    values = {"return": "returns", "accuracy": "accuracies", "loss": "losses"}[measure.name]
    scores = np.array([task[values] for task in result["per_task"]], dtype=float).T
    ends = np.unique(np.linspace(0, len(rows), min(len(rows), MAX_POINTS) + 1).round().astype(int))
    pre, post = (np.array([_or_nan(row[f"{measure.name}/{when}"]) for row in rows]) for when in ("pre", "post"))
    return KeptRun(
        planned.label,
        config.algorithm,
        config.seed,
        config.iterations,
        dict(planned.given),
        [float(done[end - 1]) for end in ends[1:]],
        [_rounded(seconds[end - 1]) for end in ends[1:]],  # type: ignore[misc]
        [_rounded(pre[first:end].mean()) for first, end in pairwise(ends)],
        [_rounded(post[first:end].mean()) for first, end in pairwise(ends)],
        [[_rounded(score) for score in row] for row in scores],
    )


def read_learning(folder: Path) -> tuple[Config, list[dict[str, Any]]]:
    """The configuration and the metrics of a run; of a data set these may be none, if the run was a short one.

    Raises UsageError for others without metrics, and if the last rows are missing.
    """
    config = load_stored(folder / "config.yaml", option="run")
    every = config.metrics_every if isinstance(config, DataConfig) else 1
    if config.iterations < every:
        return config, []
    config, rows = read_run(folder)
    last = config.iterations // every * every
    if rows[-1]["iteration"] + 1 < last:
        got = f"metrics of {rows[-1]['iteration'] + 1} iterations"
        raise UsageError(f"{folder / 'metrics.jsonl'}: got {got}, allowed: of {last}, as many as were done")
    return config, rows


def read_kept(given: Any, label: str) -> KeptRun:
    """A run of a comparison.json. Raises UsageError, beginning with `label`, if it is none."""
    if not isinstance(given, dict):
        raise UsageError(f"{label}: got {shown(given)}, allowed: a run of a comparison")
    missing = next((name for name in (*FIELDS, "scores") if name not in given), None)
    if missing:
        raise UsageError(f"{label}: got no {missing!r}, allowed: a run of a comparison")
    values = {name: check_value(f"{label}: {name}", given[name], kind) for name, kind in FIELDS.items()}
    values |= {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    options = given.get("options", {})
    if not isinstance(options, dict) or len(options) > MAX_OPTIONS:
        raise UsageError(f"{label}: options: got {shown(options)}, allowed: values by name")
    scores = given["scores"]
    if not isinstance(scores, list) or not 1 <= len(scores) <= 1001:
        raise UsageError(f"{label}: scores: got {shown(scores)}, allowed: a list for each number of steps")
    rows = [list(check_value(f"{label}: scores", row, SCORES)) for row in scores]
    if any(score is None for score in rows[0]):
        raise UsageError(f"{label}: scores: got null, allowed: a number for each task before adaptation")
    for name, got, allowed in (
        *((name, len(values[name]), len(values["done"])) for name in ("seconds", "pre", "post")),
        *(("scores", len(row), max(1, len(rows[0]))) for row in rows),
    ):
        if got != allowed:
            raise UsageError(f"{label}: {name}: got {got} numbers, allowed: {allowed}")
    return KeptRun(**values, options=options, scores=rows)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _rounded(value: float) -> float | None:
    """To few digits; None for a number that is not finite, which JSON lacks."""
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
