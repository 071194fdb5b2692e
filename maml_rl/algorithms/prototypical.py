"""Prototypical networks: a class is the mean of its embedded examples (Snell et al. 2017, algorithm 1)."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adam import adam_start
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.problem import Problem
from maml_rl.meta.shared_step import SharedStepOptions
from maml_rl.models.distributions import Categorical
from maml_rl.models.model import Model
from maml_rl.supervised.comparison import class_means, comparison_step, looks_at_support


@dataclass(frozen=True)
class PrototypicalOptions(SharedStepOptions):
    """Options of prototypical networks."""


@dataclass(frozen=True)
class Prototypical:
    """p(class) falls with the squared distance of an embedded query from the mean of the class's embedded examples.

    A step of adaptation is a look at the support set.
    """

    options: PrototypicalOptions
    trained_steps = 1

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **adam_start(theta)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        return comparison_step(problem, state, by_distance, self.options)

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return looks_at_support(problem, state, by_distance, steps, first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return []


def by_distance(theta_M: Tensor, known: Tensor, targets: Tensor, asked: Tensor) -> Categorical:
    """Logits -|f(x) - c_n|^2 [M, Q, ways] of prototypes c_n, the means of embeddings (Snell et al. 2017, eq. 1 and 2).

    theta_M: has no part in it. known: [M, S, D]. targets: [M, S, ways], one-hot. asked: [M, Q, D].
    """
    prototypes = class_means(known, targets)  # [M, ways, D]
    cross = asked @ prototypes.transpose(1, 2)
    return Categorical(2 * cross - asked.square().sum(2, keepdim=True) - prototypes.square().sum(2)[:, None])
