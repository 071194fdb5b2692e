"""CAVIA: a context, beside the observation, is all that adapts to a task (Zintgraf et al. 2019, section 3)."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import EstimatorOptions, Inner, InnerOptions, inner_loop
from maml_rl.meta.meta_step import OuterStepOptions, first_moments, meta_step
from maml_rl.meta.problem import Problem
from maml_rl.models.model import Model, chosen_parameters
from maml_rl.models.policies import MlpPolicy
from maml_rl.models.regressor import MlpRegressor
from maml_rl.schema.bounds import Within
from maml_rl.schema.errors import UsageError


@dataclass(frozen=True)
class CaviaOptions(InnerOptions, EstimatorOptions, OuterStepOptions):
    """Options of CAVIA."""

    inner_lr: Annotated[float, Within(0)] = 1.0
    """Step size of the inner loop, which moves the context (the paper: 1 for navigation, 10 for half-cheetahs)."""
    context_size: Annotated[int, Within(0, 10_000)] = 5
    """Numbers in the context (the paper: 5 for navigation, 50 for half-cheetahs). Without any nothing adapts."""


def with_context(model: Model, options: CaviaOptions) -> Model:
    """The model with a context beside its inputs. Raises UsageError for one of pictures, which takes none."""
    if not isinstance(model, MlpPolicy | MlpRegressor):
        raise UsageError("--algorithm: got 'cavia' for a model of pictures, allowed: for policies and regressions")
    return dataclasses.replace(model, context_size=options.context_size)


@dataclass(frozen=True)
class Cavia:
    """Descend on each task with the context, from zero, and move everything else by a trust region, exactly."""

    options: CaviaOptions

    @property
    def trained_steps(self) -> int:
        return self.options.inner_steps

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **first_moments(theta, self.options)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        theta, estimator = state["theta"], problem.estimators[self.options.inner_loss]
        context = self.context(problem.model, theta)
        alpha = self.options.inner_lr * context
        inner = Inner(estimator.loss, alpha, self.options.inner_steps, retaken=estimator.retaken)
        with problem.watch("adapt"):
            path = inner_loop(problem, theta, inner)
        with problem.watch("outer"):
            theta, moments, metrics = meta_step(
                problem, state, theta, path, inner, problem.outer_loss, self.options, 1 - context
            )
        return {"theta": theta, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        context = self.context(problem.model, state["theta"])
        alphas = [alpha * context for alpha in self.step_sizes(state, first, first + steps)]
        return gradient_steps(problem, state["theta"], alphas, first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return self.options.inner_lrs(first, last)

    def context(self, model: Model, theta: Tensor) -> Tensor:
        """[P], 1 at the context and 0 elsewhere. The context of theta itself is zero, and stays so."""
        return chosen_parameters(model, {"context"} & model.parameter_shapes.keys(), theta)
