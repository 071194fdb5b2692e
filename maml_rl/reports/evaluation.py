"""Evaluation on new tasks: returns before adaptation and after each step of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from maml_rl.meta.algorithm import Algorithm, State
from maml_rl.reports.measure import RETURN, Measure
from maml_rl.rl.rollouts import Rollouts
from maml_rl.rl.trajectories import Trajectories


@dataclass(frozen=True)
class Adaptation:
    """K steps of adaptation on some tasks: the episodes before and after each."""

    trajectories: Sequence[Trajectories]  # K + 1

    def returns(self) -> Tensor:
        """[K + 1, M], mean undiscounted return of a task's first episodes; diverged ones do not count."""
        return torch.stack([each.task_returns() for each in self.trajectories])

    @property
    def rated(self) -> bool:
        """Whether any episode says that it met its task, or did not."""
        return any(each.rated for each in self.trajectories)

    def success_rates(self) -> Tensor:
        """[K + 1, M], share of a task's first episodes that met it."""
        return torch.stack([each.success_rates() for each in self.trajectories])

    def env_steps(self) -> list[float]:
        """[K + 1], env steps that a task had been played before the policy was adapted so far; means over tasks.

        A policy with a memory has seen those of its own trial, one of E that are played beside each other.
        """
        learners = [
            each.mask.shape[0] * (each.mask.shape[1] if each.memory.numel() else 1) for each in self.trajectories
        ]
        counts = [0.0] + [each.num_steps() / n for each, n in zip(self.trajectories[:-1], learners, strict=False)]
        return torch.tensor(counts).cumsum(dim=0).tolist()

    def summary(self) -> dict[str, list[Any]]:
        """Per number of steps: mean return over tasks, its 95 % interval, and the env steps before."""
        return summarise(self.returns()) | {"env_steps_per_task": self.env_steps()}


def summarise(values: Tensor, measure: Measure = RETURN) -> dict[str, list[Any]]:
    """Per number of steps, of a measure's values [K + 1, M]: the mean over tasks, and its 95 % interval."""
    return {
        "gradient_steps": list(range(len(values))),
        f"{measure.name}_mean": [float(row.mean()) for row in values],
        f"{measure.name}_ci95": [confidence_interval(row) for row in values],
    }


def adapt_and_roll_out(
    algorithm: Algorithm,
    state: State,
    rollouts: Rollouts,
    steps: int,
    announce: Callable[[str], None] = lambda part: None,
) -> Adaptation:
    """Play the policies before adaptation and after each of `steps` steps, on each task of the rollouts.

    The episodes are those that the next step learns from: one batch per policy. announce: told the part that is being
    collected.
    """
    trajectories = []
    for k, actor in enumerate(algorithm.adapt(state, rollouts, steps)):
        announce(f"episodes after {k} of {steps} {rollouts.step}s")
        trajectories.append(rollouts.play(actor, k))
    return Adaptation(trajectories)


def confidence_interval(values: Tensor) -> float | None:
    """Half-width of the 95 % confidence interval of the mean of values [n], in the normal approximation.

    None if fewer than two values are given.
    """
    n = len(values)
    return NormalDist().inv_cdf(0.975) * float(values.std()) / sqrt(n) if n > 1 else None
