"""Evaluation on new tasks of a data set: losses and accuracies before adaptation and after each step of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.meta.algorithm import Algorithm, State
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.losses import accuracy
from maml_rl.supervised.prediction import predicted


@dataclass(frozen=True)
class Learned:
    """K steps of adaptation on some tasks: how good the predictions for their query sets were before and after each."""

    losses: Tensor  # [K + 1, M], mean squared errors or cross-entropies
    accuracies: Tensor | None  # [K + 1, M], of a classification

    @property
    def scores(self) -> Tensor:
        """[K + 1, M], accuracies of a classification, losses of a regression."""
        return self.losses if self.accuracies is None else self.accuracies


def adapt_and_predict(
    algorithm: Algorithm,
    state: State,
    episodes: Episodes,
    steps: int,
    transductive: bool = True,
) -> Learned:
    """Predict the query sets before adaptation and after each of `steps` steps on the support sets.

    transductive: as of `maml_rl.supervised.prediction`.
    """
    measured: list[tuple[Tensor, Tensor]] = []
    for actor in algorithm.adapt(state, episodes, steps):
        theta_M = actor.theta_M
        support, query = (each.to(theta_M.device, theta_M.dtype) for each in episodes.sets)
        with torch.no_grad():
            distribution = predicted(actor, support.inputs, query.inputs, transductive, episodes.model.rows_per_input)
        right = accuracy(distribution, query) if episodes.data.classifies else theta_M.new_empty(0)
        measured.append((episodes.loss(distribution, query), right))
    losses, accuracies = (torch.stack(each).double() for each in zip(*measured, strict=True))
    return Learned(losses, accuracies if episodes.data.classifies else None)
