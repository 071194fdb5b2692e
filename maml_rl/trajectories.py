"""Rollout data, and the shape key of the whole project.

Shapes
    M  tasks                    O  size of an observation
    E  episodes per task        A  size of an action
    H  steps, the time limit    P  number of policy parameters
    N  E * H, all steps of one task, in the form the losses take

`theta` is [P], shared by all tasks; `theta_M` is [M, P], one adapted policy per task. Rollout data is [M, E, H, ...].
"""

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trajectories:
    """Episodes of all tasks, collected with one policy per task.

    `mask` is true on an episode's steps up to and including the one that ended it, and nowhere in an episode whose
    physics diverged. An episode that ends before H without a termination was cut off by a time limit of the env's own:
    the next observation is that of the state it was cut off at. What else stands outside of the mask is meaningless and
    must not influence anything.
    """

    observations: Tensor  # [M, E, H, O], before each action
    actions: Tensor  # [M, E, H, A], as sampled: unscaled, unclipped
    rewards: Tensor  # [M, E, H]
    terminated: Tensor  # [M, E, H] bool: the step led into a terminal state; a time limit is not one
    mask: Tensor  # [M, E, H] bool
    final_observations: Tensor  # [M, E, O], after the last step
    diverged: Tensor  # [M, E] bool
    successes: Tensor = field(default_factory=lambda: torch.empty(0))  # [M, E] bool; empty where the env does not say

    def tasks(self, chunk: slice) -> "Trajectories":
        """Views of the episodes of some of the tasks."""
        return Trajectories(**{each.name: getattr(self, each.name)[chunk] for each in fields(self)})

    def num_steps(self) -> int:
        """Environment steps that count: those inside the mask."""
        return int(self.mask.sum())

    def mean_return(self) -> float:
        """Mean undiscounted return over tasks and episodes, in reward units; diverged episodes do not count."""
        returns = self.rewards.where(self.mask, 0.0).double().sum(dim=-1)  # [M, E]
        return float(returns[~self.diverged].mean())

    def success_rate(self) -> float | None:
        """Share of episodes that met their task; diverged ones do not count. None where the env does not say."""
        return float(self.successes[~self.diverged].double().mean()) if self.successes.numel() else None
