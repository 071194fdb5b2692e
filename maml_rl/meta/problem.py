"""The input of an algorithm in an iteration: a model, and batches of some tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from torch import Tensor

from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.distributions import Distribution
from maml_rl.models.model import Model


class Batch(Protocol):
    """N steps, or examples, of each of M tasks. A sum over n weighted by `weights` is a mean over the valid ones."""

    @property
    def inputs(self) -> Tensor:
        """[M, N, ...], of the model."""
        ...

    @property
    def weights(self) -> Tensor:
        """[M, N], summing to 1 over n."""
        ...

    def rows(self, chunk: slice) -> Self:
        """The batch of some of the tasks."""
        ...

    def every(self, stride: int, first: int = 0) -> Self:
        """Steps first, first + stride, ... as a batch in its own right."""
        ...


# A loss sees the distributions at the inputs of a batch, and the batch, of the kind that its side of the project has.
Loss = Callable[[Distribution, Any], Tensor]  # -> [M]
# An outer loss sees K + 1 of each: before each inner step, and after the last.
OuterLoss = Callable[[Sequence[Distribution], Sequence[Any]], Tensor]  # -> [M]


class Estimator(NamedTuple):
    """A loss of the inner loop, whose Hessian estimates how a step on fresh data changes with the parameters."""

    loss: Loss
    # The loss whose Hessian says how the step changes if it is taken from elsewhere on the same data, as a line search
    # takes it: `loss` itself, unless that stops derivatives which then matter.
    retaken: Loss


class Problem(Protocol):
    """This rank's share of the tasks of one iteration."""

    @property
    def model(self) -> Model: ...
    @property
    def num_tasks(self) -> int: ...
    @property
    def loss(self) -> Loss: ...
    @property
    def estimators(self) -> Mapping[str, Estimator]:
        """Losses of the inner loop by name, `loss` among them.

        All have its gradient at the models that drew a batch; their Hessians there are estimates of their own.
        """
        ...

    @property
    def outer_loss(self) -> OuterLoss: ...
    @property
    def mean(self) -> TaskMean:
        """Over the tasks of all ranks."""
        ...

    @property
    def random(self) -> np.random.Generator:
        """For the algorithm's own draws: the same on all ranks, another in each iteration."""
        ...

    @property
    def progress(self) -> float:
        """The share of the run's iterations that are done: for step sizes that fall."""
        ...

    @property
    def watch(self) -> Stopwatch:
        """Names and times the parts of the iteration."""
        ...

    def draw(self, theta_M: Tensor, k: int) -> Batch:
        """The batch that the models theta_M [M, P] meet after k gradient steps, k = 0, 1, ..."""
        ...
