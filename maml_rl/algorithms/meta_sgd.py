"""Meta-SGD: MAML that learns the step size of every parameter of its inner loop (Li et al. 2017, eq. 2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import EstimatorOptions, Inner, inner_loop
from maml_rl.meta.meta_step import OuterStepOptions, first_moments, meta_step
from maml_rl.meta.problem import Problem
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Count, Within
from maml_rl.schema.errors import UsageError


@dataclass(frozen=True)
class MetaSgdOptions(EstimatorOptions, OuterStepOptions):
    """Options of Meta-SGD."""

    min_init_lr: Annotated[float, Within(0)] = 0.005
    """Least step size of a parameter at first. Later on they may be anything, also negative."""
    max_init_lr: Annotated[float, Within(0)] = 0.1
    """Largest step size of a parameter at first."""
    inner_steps: Count = 1
    """Gradient steps of the inner loop, each on data of its own."""
    eval_lr_ratio: Annotated[float, Within(0)] = 0.5
    """Step sizes of evaluation's inner steps beyond the trained ones, over those of training."""

    def __post_init__(self) -> None:
        if self.min_init_lr > self.max_init_lr:
            raise UsageError(f"--min-init-lr: got {self.min_init_lr}, allowed: up to --max-init-lr, {self.max_init_lr}")


@dataclass(frozen=True)
class MetaSgd:
    """Descend on each task by alpha * grad, and move theta and alpha together by a trust region, exactly."""

    options: MetaSgdOptions

    @property
    def trained_steps(self) -> int:
        return self.options.inner_steps

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        low, high = self.options.min_init_lr, self.options.max_init_lr
        alpha = generator.uniform(1, len(theta), low=low, high=high)[0].float()
        return {"theta": theta, "alpha": alpha, **first_moments(torch.cat([theta, alpha]), self.options)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        theta, alpha, estimator = state["theta"], state["alpha"], problem.estimators[self.options.inner_loss]
        inner = Inner(estimator.loss, alpha, self.options.inner_steps, learns_alpha=True, retaken=estimator.retaken)
        with problem.watch("adapt"):
            path = inner_loop(problem, theta, inner)
        with problem.watch("outer"):
            point = torch.cat([theta, alpha])
            point, moments, metrics = meta_step(problem, state, point, path, inner, problem.outer_loss, self.options)
        theta, alpha = point.tensor_split(2)
        metrics |= {"meta_sgd/alpha_mean": float(alpha.mean()), "meta_sgd/alpha_std": float(alpha.std())}
        return {"theta": theta, "alpha": alpha, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        alphas = [ratio * state["alpha"] for ratio in self.ratios(first, first + steps)]
        return gradient_steps(problem, state["theta"], alphas, first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return [ratio * float(state["alpha"].mean()) for ratio in self.ratios(first, last)]

    def ratios(self, first: int, last: int) -> list[float]:
        """Step sizes of an evaluation's steps first to last - 1, over alpha."""
        return [1.0 if k < self.options.inner_steps else self.options.eval_lr_ratio for k in range(first, last)]
