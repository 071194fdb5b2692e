"""A problem whose batches are given instead of played."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.meta.problem import Estimator, Loss, OuterLoss
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import ESTIMATORS, importance_ratio, policy_gradient
from maml_rl.rl.samples import Samples


@dataclass(frozen=True)
class GivenProblem:
    model: MlpPolicy
    batches: Sequence[Samples]
    loss: Loss = policy_gradient
    outer_loss: OuterLoss = importance_ratio
    estimators: Mapping[str, Estimator] = field(default_factory=lambda: ESTIMATORS)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    progress: float = 0.0
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def num_tasks(self) -> int:
        return len(self.batches[0].weights)

    @property
    def mean(self) -> TaskMean:
        return TaskMean(self.num_tasks)

    @torch.no_grad()
    def draw(self, theta_M: Tensor, k: int) -> Samples:
        """As if theta_M had taken the actions."""
        batch = self.batches[k]
        return dataclasses.replace(batch, old=self.model.at(theta_M)(batch.inputs))
