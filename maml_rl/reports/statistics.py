"""Statistics over seeds and tasks, with bootstrap intervals (Agarwal et al. 2021).

An algorithm's scores are a matrix [S, M]: a row for each seed that it was trained with, a column for each task that all
were evaluated on. A resample draws seeds, of each algorithm for itself, and tasks, the same for all algorithms: tasks
that are hard for all do not blur a comparison, and what a seed's tasks share counts once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap, trim_mean

RESAMPLES = 2000
AT_ONCE = 3_000_000  # numbers of a batch of resamples
SEED = 1


@dataclass(frozen=True)
class Estimate:
    """A number, and its 95 % interval by the bootstrap; None if there is one seed and one task."""

    value: float
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {"value": self.value, "ci95": None if self.low is None else [self.low, self.high]}


def interquartile_mean(scores: np.ndarray) -> Estimate:
    """Of scores [S, M]: the mean of the middle half of all, which few runs far off do not move (section 4.3)."""
    return _estimate(lambda each: trim_mean(each.reshape(*each.shape[:-2], -1), 0.25, axis=-1), [scores])


def mean(scores: np.ndarray) -> Estimate:
    """Of scores [S, M]."""
    return _estimate(lambda each: each.mean(axis=(-2, -1)), [scores])


def mean_difference(scores: np.ndarray, less: np.ndarray) -> Estimate:
    """Of scores [S, M] and others [S', M] on the same tasks: the mean of the first less that of the others."""
    return _estimate(lambda first, second: (first.mean(axis=-2) - second.mean(axis=-2)).mean(axis=-1), [scores, less])


def probability_of_improvement(scores: np.ndarray, over: np.ndarray) -> Estimate:
    """How probably a run of the first, scores [S, M], has more on a task than one of the other, [S', M] (section 4.3).

    A mean over tasks and pairs of seeds; a tie counts half.
    """

    def of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        pairs = np.sign(first[..., :, None, :] - second[..., None, :, :])
        return (pairs.mean(axis=(-3, -2, -1)) + 1) / 2

    return _estimate(of, [scores, over])


def _estimate(statistic: Callable[..., np.ndarray], given: Sequence[np.ndarray]) -> Estimate:
    """A statistic of matrices [..., S, M], and its percentile interval over resampled seeds and tasks."""
    value = float(statistic(*given))
    num_tasks = given[0].shape[1]
    sizes = [*(len(scores) for scores in given), num_tasks]
    varied = [axis for axis, size in enumerate(sizes) if size > 1]
    if not varied or not all(np.isfinite(scores).all() for scores in given):
        return Estimate(value, None, None)

    def resampled(*drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        """drawn: rows [B, size] of numbers, or [size], for each axis that varies."""
        indices = [np.zeros((*drawn[0].shape[:-1], 1), int)] * len(sizes)
        for each, rows in zip(varied, drawn, strict=True):
            indices[each] = rows
        tasks = indices[-1][..., None, :]
        parts = [scores[rows[..., :, None], tasks] for scores, rows in zip(given, indices, strict=False)]
        return statistic(*parts)

    numbers = num_tasks * max(np.prod([len(scores) for scores in given]), sum(len(scores) for scores in given))
    found = bootstrap(
        [np.arange(sizes[axis]) for axis in varied],
        resampled,
        n_resamples=RESAMPLES,
        batch=max(1, int(AT_ONCE // numbers)),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high))
