"""E-MAML: MAML whose policy before adaptation is credited with the return after it (Stadie et al. 2018)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import EstimatorOptions, Inner, InnerOptions, inner_loop
from maml_rl.meta.meta_step import OuterStepOptions, first_moments, meta_step
from maml_rl.meta.problem import Batch, OuterLoss, Problem
from maml_rl.models.distributions import Distribution
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Within


@dataclass(frozen=True)
class EMamlOptions(InnerOptions, EstimatorOptions, OuterStepOptions):
    """Options of E-MAML."""

    exploration_weight: Annotated[float, Within(0)] = 1.0
    """Weight of the term that credits the episodes before adaptation with the return after it (lambda); 0 is MAML."""


@dataclass(frozen=True)
class EMaml:
    """Descend on each task as MAML does, and make the episodes likelier that led to a good end (eq. 4).

    The return after adaptation is standardised over all tasks of the iteration: advantages, which have no mean within a
    task, would make the term vanish.
    """

    options: EMamlOptions

    @property
    def trained_steps(self) -> int:
        return self.options.inner_steps

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **first_moments(theta, self.options)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        estimator = problem.estimators[self.options.inner_loss]
        inner = Inner(estimator.loss, self.options.inner_lr, self.options.inner_steps, retaken=estimator.retaken)
        with problem.watch("adapt"):
            path = inner_loop(problem, state["theta"], inner)
        with problem.watch("outer"):
            outer_loss = exploring(problem, path.batches[-1], self.options.exploration_weight)
            theta, moments, metrics = meta_step(problem, state, state["theta"], path, inner, outer_loss, self.options)
        return {"theta": theta, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return gradient_steps(problem, state["theta"], self.step_sizes(state, first, first + steps), first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return self.options.inner_lrs(first, last)


def exploring(problem: Problem, last: Batch, weight: float) -> OuterLoss:
    """The problem's outer loss, less `weight` times R_i mean(log pi(a|s)) over each batch before the last.

    R_i: the mean return of task i in the last batch, standardised over the tasks of all ranks; 0 if no step counts.
    """
    counted, total, squares = problem.mean(lambda tasks: moments(last.rows(tasks)), last)
    mean = total / counted
    std = (squares / counted - mean**2).clamp(min=0).sqrt().clamp(min=1e-8)  # in reward units

    def outer_loss(distributions: Sequence[Distribution], batches: Sequence[Any]) -> Tensor:
        rated, returns = returns_of(batches[-1])
        R = (rated * (returns - mean) / std).to(batches[-1].weights.dtype)  # [m]
        loss = problem.outer_loss(distributions, batches)
        for distribution, batch in zip(distributions[:-1], batches[:-1], strict=True):
            loss = loss - weight * R * (batch.weights * distribution.log_prob(batch.actions)).sum(dim=1)
        return loss

    return outer_loss


def moments(batch: Any) -> Tensor:
    """Of each task 1, its return and the square of that: [m, 3], float64; zeros if none of its steps counts."""
    rated, returns = returns_of(batch)
    return torch.stack([rated, returns, returns.square()], dim=1)


def returns_of(batch: Any) -> tuple[Tensor, Tensor]:
    """Whether any step of a task counts (1, 0), and if so its return [m] in `maml_rl.rl.samples.Samples`: float64."""
    counts = batch.weights.sum(dim=1) > 0
    return counts.double(), batch.returns.double().where(counts, 0.0)
