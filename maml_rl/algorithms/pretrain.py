"""One policy for all tasks, without adaptation (Finn et al. 2017, section 5.3: pretraining, and the oracle).

On a family whose observations contain the task, `maml_rl.envs.wrappers.oracle`, it is the paper's oracle.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import Inner, InnerOptions, inner_loop
from maml_rl.meta.meta_step import OuterStepOptions, first_moments, meta_step
from maml_rl.meta.problem import Problem
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Within


@dataclass(frozen=True)
class PretrainOptions(OuterStepOptions):
    """Options of pretraining and of the oracle."""

    inner_lr: Annotated[float, Within(0)] = 0.1
    """Step size of the first gradient step when the policy is fine-tuned in an evaluation; training takes none."""
    eval_lr_ratio: Annotated[float, Within(0)] = 0.5
    """Step size of an evaluation's further gradient steps, over inner_lr."""


@dataclass(frozen=True)
class Pretrain:
    """The policy gradient of all tasks at once, by a trust region; fine-tuned by gradient steps when evaluated."""

    options: PretrainOptions
    trained_steps = 0

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **first_moments(theta, self.options)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        inner = Inner(problem.loss, alpha=0.0, steps=0)
        path = inner_loop(problem, state["theta"], inner)
        with problem.watch("outer"):
            theta, moments, metrics = meta_step(
                problem, state, state["theta"], path, inner, problem.outer_loss, self.options
            )
        return {"theta": theta, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return gradient_steps(problem, state["theta"], self.step_sizes(state, first, first + steps), first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return InnerOptions(self.options.inner_lr, 1, self.options.eval_lr_ratio).inner_lrs(first, last)
