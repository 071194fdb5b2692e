"""ANIL: MAML whose inner loop adapts the last layer only (Raghu et al. 2020, section 4)."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import EstimatorOptions, Inner, InnerOptions, inner_loop
from maml_rl.meta.meta_step import OuterStepOptions, first_moments, meta_step
from maml_rl.meta.problem import Problem
from maml_rl.models.model import Model, chosen_parameters
from maml_rl.schema.bounds import Count
from maml_rl.schema.errors import UsageError


@dataclass(frozen=True)
class AnilOptions(InnerOptions, EstimatorOptions, OuterStepOptions):
    """Options of ANIL."""

    head_layers: Count = 1
    """Layers that the inner loop adapts, counted from the output."""
    adapt_rest: bool = False
    """Whether the inner loop adapts the parameters that are of no layer too: a Gaussian's log standard deviations."""


def with_head(model: Model, options: AnilOptions) -> Model:
    """The model. Raises UsageError if the head has more layers than it."""
    if options.head_layers > len(model.layers):
        raise UsageError(f"--head-layers: got {options.head_layers}, allowed: up to {len(model.layers)}, all layers")
    return model


@dataclass(frozen=True)
class Anil:
    """Descend on each task with the head, and move the whole of theta by a trust region, exactly."""

    options: AnilOptions

    @property
    def trained_steps(self) -> int:
        return self.options.inner_steps

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **first_moments(theta, self.options)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        theta, estimator = state["theta"], problem.estimators[self.options.inner_loss]
        alpha = self.options.inner_lr * self.head(problem.model, theta)
        inner = Inner(estimator.loss, alpha, self.options.inner_steps, retaken=estimator.retaken)
        with problem.watch("adapt"):
            path = inner_loop(problem, theta, inner)
        with problem.watch("outer"):
            theta, moments, metrics = meta_step(problem, state, theta, path, inner, problem.outer_loss, self.options)
        return {"theta": theta, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        head = self.head(problem.model, state["theta"])
        alphas = [alpha * head for alpha in self.step_sizes(state, first, first + steps)]
        return gradient_steps(problem, state["theta"], alphas, first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return self.options.inner_lrs(first, last)

    def head(self, model: Model, theta: Tensor) -> Tensor:
        """[P], 1 at the parameters that the inner loop adapts and 0 elsewhere."""
        names = {name for layer in model.layers[-self.options.head_layers :] for name in layer}
        of_layers = {name for layer in model.layers for name in layer}
        if self.options.adapt_rest:
            names |= model.parameter_shapes.keys() - of_layers
        return chosen_parameters(model, names, theta)
