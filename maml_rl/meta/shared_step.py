"""A step of Adam down a loss of parameters that all tasks share: of algorithms that adapt without gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Annotated

import torch
from torch import Tensor

from maml_rl.meta.adam import EPSILON, adam_step
from maml_rl.meta.algorithm import State
from maml_rl.meta.problem import Batch, Problem
from maml_rl.schema.bounds import Count, Within

# Some tasks' parameters theta_M [m, P], and which tasks -> losses [m], and numbers to be averaged beside them [m, S].
SharedLoss = Callable[[Tensor, slice], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SharedStepOptions:
    """Options of algorithms that adapt without gradients."""

    meta_lr: Annotated[float, Within(0, open_low=True)] = 1e-3
    """Step size of Adam."""
    halve_every: Count = 2000
    """Iterations after which the step size is halved, again and again (Snell et al. 2017)."""


@dataclass(frozen=True)
class SharedStep:
    """The parameters after a step, and what was met on the way."""

    theta: Tensor  # [P]
    moments: State  # of Adam
    loss: float  # mean over tasks, before the step
    beside: Tensor  # [S], float64, means over tasks


def shared_step(
    problem: Problem,
    state: State,
    loss: SharedLoss,
    batch: Batch,
    options: SharedStepOptions,
    epsilon: float = EPSILON,
    max_gradient: float = inf,
) -> SharedStep:
    """theta after a step down the mean of a loss over the tasks of all ranks. batch: tells how many tasks go at once.

    state: holds theta [P] and the entries of `maml_rl.meta.adam.adam_start`. epsilon: Adam's. max_gradient: the length
    to which a longer gradient is cut.
    """
    theta = state["theta"]

    def of_tasks(tasks: slice) -> Tensor:
        count = len(batch.weights[tasks])
        theta_M = theta.detach().expand(count, -1).clone().requires_grad_()
        with torch.enable_grad():
            losses, beside = loss(theta_M, tasks)
        (gradient,) = torch.autograd.grad(losses.sum(), theta_M)
        return torch.cat([losses.detach()[:, None], gradient, beside.detach()], dim=1)

    mean = problem.mean(of_tasks, batch)
    value, gradient, beside = mean.tensor_split([1, 1 + len(theta)])
    gradient = gradient * (max_gradient / gradient.norm()).clamp(max=1)
    lr = options.meta_lr * 0.5 ** (int(state["adam.t"]) // options.halve_every)
    moved, moments = adam_step(theta, gradient.to(theta.dtype), state, lr, epsilon)
    return SharedStep(moved, moments, float(value), beside)
