"""Few-shot learners that compare: a query's class is told from its embedding and those of the support set."""

from collections.abc import Callable, Iterator
from typing import Protocol, cast

import torch
from torch import Tensor

from maml_rl.meta.algorithm import Actor, Memory, Metrics, State
from maml_rl.meta.problem import Problem
from maml_rl.meta.shared_step import SharedStepOptions, shared_step
from maml_rl.models.distributions import Categorical, Distribution, Point
from maml_rl.models.model import Model, chosen_parameters
from maml_rl.supervised.examples import Examples

# theta_M [M, P], embeddings of support sets [M, S, D], their one-hot classes [M, S, ways], and embeddings of queries
# [M, Q, D] -> classes of the queries.
Compare = Callable[[Tensor, Tensor, Tensor, Tensor], Categorical]

MOMENTUM = 0.1  # of the moving averages of statistics: PyTorch's


class Normalised(Model, Protocol):
    """A model that keeps statistics of its batches in theta."""

    @property
    def statistics(self) -> list[str]:
        """The parameters that are moving averages."""
        ...


class Embedding(Normalised, Protocol):
    """One whose results are embeddings."""

    def learning(self, theta_M: Tensor) -> Callable[[Tensor], tuple[Point, Tensor]]:
        """Embeddings by the statistics of the inputs themselves, and these statistics [M, S]."""
        ...


class Comparing:
    """An actor that has seen the support sets of M tasks, or has not: then all classes are alike to it."""

    def __init__(self, model: Model, theta_M: Tensor, compare: Compare, targets: Tensor, known: Tensor | None) -> None:
        """targets: one-hot classes of the support sets [M, S, ways]. known: their embeddings [M, S, D]."""
        self.theta_M = theta_M
        self._model, self._compare, self._targets, self._known = model, compare, targets, known
        self._at = model.at(theta_M)

    @property
    def state_M(self) -> State:
        seen = {} if self._known is None else {"known": self._known, "targets": self._targets}
        return {"theta": self.theta_M, **seen}

    def __call__(self, inputs: Tensor, memory: Memory) -> tuple[Distribution, Memory]:
        if self._known is None:
            return Categorical(inputs.new_zeros(*inputs.shape[:2], self._targets.shape[2])), memory
        asked = self._at(inputs)
        assert isinstance(asked, Point), "the model gives embeddings"
        return self._compare(self.theta_M, self._known, self._targets, asked.mean), memory

    def rows(self, rows: slice | Tensor) -> "Comparing":
        known = None if self._known is None else self._known[rows]
        return Comparing(self._model, self.theta_M[rows], self._compare, self._targets[rows], known)


def looks_at_support(problem: Problem, state: State, compare: Compare, steps: int, first: int = 0) -> Iterator[Actor]:
    """The actors before a look at the support sets, and after one or more: each look is at the whole of them.

    state: with `known` and `targets` if it has had a look before.
    """
    theta_M = state["theta"].expand(problem.num_tasks, -1)
    if "known" in state:
        known, targets = (state[name].expand(problem.num_tasks, -1, -1) for name in ("known", "targets"))
        yield Comparing(problem.model, theta_M, compare, targets, known)
    else:
        yield Comparing(problem.model, theta_M, compare, examples(problem, theta_M, first).targets, None)
    for k in range(first, first + steps):
        with problem.watch("adapt"), torch.no_grad():
            support = examples(problem, theta_M, k)
            known = cast(Point, problem.model.at(theta_M)(support.inputs)).mean
        yield Comparing(problem.model, theta_M, compare, support.targets, known)


def examples(problem: Problem, theta_M: Tensor, k: int) -> Examples:
    """The problem's k-th batch: its sides know of what kind they are."""
    return cast(Examples, problem.draw(theta_M, k))


def comparison_step(
    problem: Problem, state: State, compare: Compare, options: SharedStepOptions
) -> tuple[State, Metrics]:
    """A step of Adam down the loss on the query sets, and the moving averages of the model's statistics.

    Support and query set are one batch to the model's normalisation (Snell et al. 2017, the authors' code).
    """
    theta, model = state["theta"], cast(Embedding, problem.model)
    theta_M = theta.expand(problem.num_tasks, -1)
    support, query = examples(problem, theta_M, 0), examples(problem, theta_M, 1)

    def loss(theta_M: Tensor, tasks: slice) -> tuple[Tensor, Tensor]:
        known, asked = support.rows(tasks), query.rows(tasks)
        embeddings, statistics = model.learning(theta_M)(torch.cat([known.inputs, asked.inputs], dim=1))
        of_known, of_asked = embeddings.mean.split([known.inputs.shape[1], asked.inputs.shape[1]], dim=1)
        return problem.loss(compare(theta_M, of_known, known.targets, of_asked), asked), statistics

    with problem.watch("outer"):
        step = shared_step(problem, state, loss, query, options)
        moved = with_statistics(model, theta, step.theta, step.beside)
    return {"theta": moved, **step.moments}, {"loss": step.loss}


def with_statistics(model: Normalised, theta: Tensor, moved: Tensor, statistics: Tensor) -> Tensor:
    """The parameters `moved` [P] with moving averages that have gone on from those of theta [P] by statistics [S]."""
    kept, after = chosen_parameters(model, model.statistics, theta).bool(), moved.clone()
    after[kept] = theta[kept].lerp(statistics.to(theta.dtype), MOMENTUM)
    return after


def class_means(known: Tensor, targets: Tensor) -> Tensor:
    """The means [M, ways, D] of each class's embeddings. known: [M, S, D]. targets: [M, S, ways], one-hot."""
    return (targets / targets.sum(dim=1, keepdim=True).clamp(min=1)).transpose(1, 2) @ known
