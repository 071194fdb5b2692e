"""Reptile: move towards where a few steps on each task lead (Nichol et al. 2018, algorithm 1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_adam import adam_descent, adam_steps, carried_over, inner_adam_start
from maml_rl.meta.inner_loop import Inner, InnerOptions, descent
from maml_rl.meta.problem import Problem
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Count, Within


@dataclass(frozen=True)
class ReptileOptions(InnerOptions):
    """Options of Reptile."""

    inner_steps: Count = 3
    """Gradient steps of the inner loop, each on data of its own. With 1 Reptile is training on all tasks at once."""
    inner_optimiser: Literal["sgd", "adam"] = "sgd"
    """Inner steps: plain gradient steps; or steps of Adam with beta1 = 0, of size inner_lr, whose second moments go on
    from one task to the next (the paper)."""
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

    @property
    def by_adam(self) -> bool:
        """Whether the inner steps are Adam's."""
        return self.options.inner_optimiser == "adam"

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **(inner_adam_start(theta) if self.by_adam else {})}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        theta = state["theta"]
        inner = Inner(problem.loss, self.options.inner_lr, self.options.inner_steps)
        with problem.watch("adapt"):
            if self.by_adam:
                path, moments_M = adam_descent(problem, state, inner)
            else:
                path, moments_M = descent(problem, theta, inner), {}
        with problem.watch("outer"):
            mean = problem.mean(lambda tasks: path.thetas_M[-1][tasks] - theta, path.batches[-1])
            share = self.options.meta_lr * (1 - problem.progress)
            moved = theta + share * mean.to(theta.dtype)
            moments = carried_over(problem, state, moments_M, path) if self.by_adam else {}
        return {"theta": moved, **moments}, {"reptile/distance": float(mean.norm()), "reptile/meta_lr": share}

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        step_sizes = self.step_sizes(state, first, first + steps)
        if self.by_adam:
            return adam_steps(problem, state, step_sizes, first)
        return gradient_steps(problem, state["theta"], step_sizes, first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return self.options.inner_lrs(first, last)
