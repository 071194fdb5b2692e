"""Adaptation to new tasks, step by step."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from maml_rl.meta.algorithm import Actor, FeedForward
from maml_rl.meta.inner_loop import inner_step
from maml_rl.meta.problem import Problem


def gradient_steps(
    problem: Problem, theta: Tensor, step_sizes: Sequence[float | Tensor], first: int = 0
) -> Iterator[Actor]:
    """The models after 0, 1, ... gradient steps from theta [P]. A step draws its batch when it is asked for.

    first: steps that theta has had before.
    """
    theta_M = theta.expand(problem.num_tasks, -1)
    yield FeedForward(problem.model, theta_M)
    for k, alpha in enumerate(step_sizes, start=first):
        with problem.watch("adapt"):
            theta_M = inner_step(problem.model, theta_M, problem.draw(theta_M, k), problem.loss, alpha)
        yield FeedForward(problem.model, theta_M)
