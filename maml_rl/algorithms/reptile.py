"""Reptile: move towards where a few steps on each task lead (Nichol et al. 2018, algorithm 1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import Inner, InnerOptions, descent
from maml_rl.meta.problem import Problem
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Count, Within


@dataclass(frozen=True)
class ReptileOptions(InnerOptions):
    """Options of Reptile."""

    inner_steps: Count = 3
    """Gradient steps of the inner loop, each on data of its own. With 1 Reptile is training on all tasks at once."""
    meta_lr: Annotated[float, Within(0, open_low=True)] = 1.0
    """Share of the way to the mean of the adapted parameters that an iteration takes at first; it falls linearly, to 0
    at the end of the run: a run that is resumed with more iterations takes larger steps again."""


@dataclass(frozen=True)
class Reptile:
    """theta moves by a share of mean(theta_i - theta), theta_i after some steps on task i; there is no outer loss.

    No episodes are played after the last inner step: return/post of the metrics is that before it.
    """

    options: ReptileOptions

    @property
    def trained_steps(self) -> int:
        return self.options.inner_steps

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        return {"theta": model.initial_parameters(generator)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        theta = state["theta"]
        inner = Inner(problem.loss, self.options.inner_lr, self.options.inner_steps)
        with problem.watch("adapt"):
            path = descent(problem, theta, inner)
        with problem.watch("outer"):
            mean = problem.mean(lambda tasks: path.thetas_M[-1][tasks] - theta, path.batches[-1])
            share = self.options.meta_lr * (1 - problem.progress)
            moved = theta + share * mean.to(theta.dtype)
        return {"theta": moved}, {"reptile/distance": float(mean.norm()), "reptile/meta_lr": share}

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return gradient_steps(problem, state["theta"], self.step_sizes(state, first, first + steps), first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return self.options.inner_lrs(first, last)
