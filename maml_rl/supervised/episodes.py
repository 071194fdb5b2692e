"""Supervised learning as a `maml_rl.meta.problem.Problem`: support sets to adapt to, and a query set to be right on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from torch import Tensor

from maml_rl.machine.keys import Draws
from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.meta.problem import Estimator, Loss, OuterLoss
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.model import Model
from maml_rl.schema.errors import Diverged
from maml_rl.supervised.data_set import DataSet
from maml_rl.supervised.examples import Examples
from maml_rl.supervised.losses import cross_entropy, mean_squared_error, on_the_last
from maml_rl.supervised.minibatches import minibatch


@dataclass(frozen=True)
class Episodes:
    """This rank's tasks of an iteration or evaluation. It draws their examples once, and keeps what it met."""

    model: Model
    data: DataSet
    tasks: Tensor  # [M, ...]
    draws: Draws  # of the examples, in phase 0; of their order in minibatches in later phases
    shots: int  # examples of a support set; of a classification, of each class
    queries: int  # likewise of a query set
    steps: int  # gradient steps: all of them are on the support set
    mean: TaskMean
    random: np.random.Generator
    progress: float = 0.0
    watch: Stopwatch = field(default_factory=Stopwatch)
    inner_batch: int = 0  # examples of the support set that an inner step sees; 0 takes all

    @property
    def num_tasks(self) -> int:
        """M."""
        return len(self.tasks)

    @property
    def loss(self) -> Loss:
        """Cross-entropy of a classification, mean squared error of a regression."""
        return cross_entropy if self.data.classifies else mean_squared_error

    @property
    def estimators(self) -> Mapping[str, Estimator]:
        """The loss alone: a support set does not depend on the model."""
        return {"plain": Estimator(self.loss, self.loss)}

    @property
    def outer_loss(self) -> OuterLoss:
        """The loss on the query set."""
        return on_the_last(self.loss)

    @cached_property
    def sets(self) -> tuple[Examples, Examples]:
        """The support and the query set of each task, as the data set gives them."""
        with self.watch("collect"):
            return self.data.examples(self.tasks, self.shots, self.queries, self.draws.phase())

    def draw(self, theta_M: Tensor, k: int) -> Examples:
        """The support set, or its minibatch k; for the models theta_M [M, P] after all of the `steps` the query set.

        On theta_M's device, in its type. Raises Diverged if the parameters of a task are not finite.
        """
        self._check_finite(theta_M, k)
        support, query = self.sets
        return (self._seen(support, k) if k < self.steps else query).to(theta_M.device, theta_M.dtype)

    def _seen(self, support: Examples, k: int) -> Examples:
        """The examples that inner step k sees."""
        num_examples = support.weights.shape[1]
        if not 0 < self.inner_batch < num_examples:
            return support
        return support.chosen(minibatch(self.draws, self.num_tasks, num_examples, self.inner_batch, k))

    def _check_finite(self, theta_M: Tensor, k: int) -> None:
        # 0 times a number that is not finite is NaN: one pass, where `isfinite` takes five.
        broken = (0 * theta_M).sum(dim=1).isnan().nonzero()[:, 0].tolist()
        if broken:
            number, task = self.draws.first_task + broken[0] + 1, self.data.describe(self.tasks[broken[0]])
            advice = "lower --inner-lr" if k else "its parameters are no model"
            steps = f"after {k} gradient step{'s' * (k != 1)}"
            raise Diverged(f"task {number} ({task}), {steps}: its parameters are not finite: {advice}")
