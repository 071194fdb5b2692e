"""Examples with targets, and a problem whose examples are given instead of drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from maml_rl.meta.problem import Loss, OuterLoss
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.model import Model


@dataclass(frozen=True)
class Examples:
    inputs: Tensor  # [M, N, ...]
    targets: Tensor  # [M, N, A]; one-hot vectors of classes
    weights: Tensor  # [M, N]

    def rows(self, chunk: slice) -> "Examples":
        return Examples(self.inputs[chunk], self.targets[chunk], self.weights[chunk])

    def every(self, stride: int, first: int = 0) -> "Examples":
        assert (stride, first) == (1, 0), "the examples of a batch are normalised together"
        return self


def examples(inputs: Tensor, targets: Tensor) -> Examples:
    """All of them with the same weight."""
    num_tasks, num_examples = inputs.shape[:2]
    return Examples(inputs, targets, inputs.new_full((num_tasks, num_examples), 1 / num_examples))


def negative_log_likelihood(distribution: Any, batch: Examples) -> Tensor:
    return -(batch.weights * distribution.log_prob(batch.targets)).sum(dim=1)


def of_the_last(distributions: Sequence[Any], batches: Sequence[Examples]) -> Tensor:
    return negative_log_likelihood(distributions[-1], batches[-1])


@dataclass(frozen=True)
class GivenExamples:
    """The part of `maml_rl.meta.problem.Problem` that the inner loop and the meta-gradient use."""

    model: Model
    batches: Sequence[Examples]
    loss: Loss = negative_log_likelihood
    outer_loss: OuterLoss = of_the_last

    @property
    def num_tasks(self) -> int:
        return len(self.batches[0].weights)

    @property
    def mean(self) -> TaskMean:
        return TaskMean(self.num_tasks)

    def draw(self, theta_M: Tensor, k: int) -> Examples:
        return self.batches[k]


def adapted_by_autograd(model: Model, theta: Tensor, alpha: Any, batches: Sequence[Examples], first_order: bool) -> Any:
    """The models after the inner loop at the last batch's inputs, as a function of theta [P]."""
    theta_M = theta.expand(len(batches[0].weights), -1)
    for batch in batches[:-1]:
        loss = negative_log_likelihood(model.at(theta_M)(batch.inputs), batch).sum()
        (gradient,) = torch.autograd.grad(loss, theta_M, create_graph=True)
        theta_M = theta_M - alpha * (gradient.detach() if first_order else gradient)
    return model.at(theta_M)(batches[-1].inputs)
