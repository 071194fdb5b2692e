"""The interface of an algorithm: a state, its update, and its adaptation to tasks."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.problem import Problem
from maml_rl.models.distributions import Distribution
from maml_rl.models.model import Model

State = dict[str, Tensor]  # "theta" [P], and everything else that the algorithm learns or keeps; checkpointed by name
Metrics = dict[str, float | int | bool]
Memory = Tensor | None  # an actor's memory of an episode, [M, E, ...]


class Actor(Protocol):
    """The policies of M tasks, as they act."""

    @property
    def theta_M(self) -> Tensor:
        """[M, P], on the device and in the dtype that the actor computes in."""
        ...

    @property
    def state_M(self) -> State:
        """The entries of the algorithm's state that are each task's own by now, [M, ...]."""
        ...

    def __call__(self, inputs: Tensor, memory: Memory) -> tuple[Distribution, Memory]:
        """The distributions at inputs [M, E, ...], and the memory that goes to the next step. It begins as None."""
        ...

    def rows(self, rows: slice | Tensor) -> "Actor":
        """The policies of some of the tasks: a slice of them, or their numbers [m], which may repeat."""
        ...


class FeedForward:
    """An actor without memory: a model at theta_M [M, P]."""

    def __init__(self, model: Model, theta_M: Tensor, others_M: State | None = None) -> None:
        """others_M: the entries of `state_M` beside theta, [M, ...], if there are any."""
        self.model, self.theta_M, self._others_M = model, theta_M, others_M or {}
        self._at = model.at(theta_M)

    @property
    def state_M(self) -> State:
        return {"theta": self.theta_M, **self._others_M}

    def __call__(self, inputs: Tensor, memory: Memory) -> tuple[Distribution, Memory]:
        return self._at(inputs), memory

    def rows(self, rows: slice | Tensor) -> "FeedForward":
        return FeedForward(self.model, self.theta_M[rows], {name: part[rows] for name, part in self._others_M.items()})


class Algorithm(Protocol):
    """One paper. Its options are a frozen dataclass beside it, its name is in `maml_rl.algorithms.catalogue`."""

    @property
    def trained_steps(self) -> int:
        """Steps of adaptation that training takes, after which validation measures the policy."""
        ...

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        """The state of a new run."""
        ...

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        """One iteration. Returns the new state and metrics."""
        ...

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        """Actors after first, first + 1, ..., first + steps steps of adaptation, the first of them the state's own.

        first: steps that the state has had before. A step draws its batch when the next actor is asked for.
        """
        ...

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        """Step sizes of `adapt`'s gradient steps first to last - 1, to be reported; means if parameters have their own.

        None of an algorithm that adapts otherwise.
        """
        ...
