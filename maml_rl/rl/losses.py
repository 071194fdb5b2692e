"""The losses of reinforcement learning, of distributions over actions and the batches in which these were taken."""

from collections.abc import Sequence

from torch import Tensor

from maml_rl.models.distributions import Distribution
from maml_rl.rl.samples import Samples


def policy_gradient(distribution: Distribution, batch: Samples) -> Tensor:
    """L_i = -mean(log pi(a|s) * advantage) over task i's valid steps (Finn et al. 2017, eq. 4).

    distribution: pi(.|s) at every step of the batch. Returns [M]. The gradient of L_i estimates the
    policy gradient; the value of L_i has no meaning.
    """
    return -(batch.weights * batch.advantages * distribution.log_prob(batch.actions)).sum(dim=1)


def importance_ratio(distributions: Sequence[Distribution], batches: Sequence[Samples]) -> Tensor:
    """-mean(pi(a|s) / pi_old(a|s) * advantage) over the steps after adaptation (Schulman et al. 2015, eq. 14).

    distributions, batches: along the inner loop, of which the last count. pi_old took the actions. Returns [M].
    """
    distribution, batch = distributions[-1], batches[-1]
    assert batch.old is not None, "the batch names the policies that took the actions"
    ratio = (distribution.log_prob(batch.actions) - batch.old.log_prob(batch.actions)).exp()
    return -(batch.weights * batch.advantages * ratio).sum(dim=1)
