"""DiCE: MAML with the infinitely differentiable estimator in its inner loop (Foerster et al. 2018)."""

from collections.abc import Iterator
from dataclasses import dataclass

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import Inner, InnerOptions, inner_loop
from maml_rl.meta.meta_step import OuterStepOptions, first_moments, meta_step
from maml_rl.meta.problem import Problem
from maml_rl.models.model import Model


@dataclass(frozen=True)
class DiceOptions(InnerOptions, OuterStepOptions):
    """Options of MAML with the DiCE estimator."""


@dataclass(frozen=True)
class Dice:
    """MAML whose inner loss multiplies the probabilities of all earlier steps of an episode.

    The Hessian of the inner loss is unbiased, and noisy.
    """

    options: DiceOptions

    @property
    def trained_steps(self) -> int:
        return self.options.inner_steps

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **first_moments(theta, self.options)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        estimator = problem.estimators["dice"]
        inner = Inner(estimator.loss, self.options.inner_lr, self.options.inner_steps, retaken=estimator.retaken)
        with problem.watch("adapt"):
            path = inner_loop(problem, state["theta"], inner)
        with problem.watch("outer"):
            theta, moments, metrics = meta_step(
                problem, state, state["theta"], path, inner, problem.outer_loss, self.options
            )
        return {"theta": theta, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return gradient_steps(problem, state["theta"], self.step_sizes(state, first, first + steps), first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return self.options.inner_lrs(first, last)
