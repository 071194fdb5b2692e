"""The losses of supervised learning, of distributions over targets and the examples that have these."""

from collections.abc import Sequence

from torch import Tensor

from maml_rl.meta.problem import Loss, OuterLoss
from maml_rl.models.distributions import Categorical, Distribution, Gaussian, Point
from maml_rl.supervised.examples import Examples


def mean_squared_error(distribution: Distribution, batch: Examples) -> Tensor:
    """Mean of (prediction - target)^2 over task i's examples and the numbers of a target (Finn et al. 2017, eq. 2).

    The predictions are points, or the means of Gaussians, whose standard deviations have no part in it. Returns [M].
    """
    assert isinstance(distribution, Gaussian | Point), "a regression's model gives numbers"
    return (batch.weights * (distribution.mean - batch.targets).square().mean(dim=-1)).sum(dim=1)


def cross_entropy(distribution: Distribution, batch: Examples) -> Tensor:
    """-mean(log p(class)) over task i's examples, nats (Finn et al. 2017, eq. 3). Returns [M].

    A mean, where the authors' code divides the sum over all N classes' examples by the K of one: its step size of 0.4
    for 5 classes is 2.0 here.
    """
    assert isinstance(distribution, Categorical), "a classification's model gives logits"
    return -(batch.weights * distribution.log_prob(batch.targets)).sum(dim=1)


def accuracy(distribution: Distribution, batch: Examples) -> Tensor:
    """The share of task i's examples whose most probable class is the right one. Returns [M]."""
    return (batch.weights * (distribution.mode() * batch.targets).sum(dim=-1)).sum(dim=1)


def on_the_last(loss: Loss) -> OuterLoss:
    """The loss of the adapted models on the last batch, the query set."""

    def outer_loss(distributions: Sequence[Distribution], batches: Sequence[Examples]) -> Tensor:
        return loss(distributions[-1], batches[-1])

    return outer_loss
