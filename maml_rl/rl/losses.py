"""The losses of reinforcement learning, of distributions over actions and the batches in which these were taken."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maml_rl.meta.problem import Estimator
from maml_rl.models.distributions import Distribution
from maml_rl.rl.samples import Samples


def policy_gradient(distribution: Distribution, batch: Samples) -> Tensor:
    """L_i = -mean(log pi(a|s) * advantage) over task i's valid steps (Finn et al. 2017, eq. 4).

    distribution: pi(.|s) at every step of the batch. Returns [M]. The gradient of L_i estimates the
    policy gradient; the value of L_i has no meaning.
    """
    return -(batch.weights * batch.advantages * distribution.log_prob(batch.actions)).sum(dim=1)


def likelihood_ratio(distribution: Distribution, batch: Samples) -> Tensor:
    """L_i = -mean(pi(a|s) / pi_old(a|s) * advantage) over task i's valid steps. pi_old took the actions.

    As an inner loss it is the low-variance curvature estimator (Rothfuss et al. 2019, eq. 12): at pi = pi_old its
    gradient is that of `policy_gradient`, and its Hessian has the outer products of the steps' own gradients too.
    Returns [M].
    """
    assert batch.old is not None, "the batch names the policies that took the actions"
    ratio = (distribution.log_prob(batch.actions) - batch.old.log_prob(batch.actions)).exp()
    return -(batch.weights * batch.advantages * ratio).sum(dim=1)


def dice(distribution: Distribution, batch: Samples) -> Tensor:
    """The infinitely differentiable estimator (Foerster et al. 2018), in its form for advantages.

    L_i = -mean((box(c_t) - box(c_(t-1))) * advantage_t) with c_t the sum of log pi(a|s) over the episode's steps up to
    t, and box(c) = exp(c - stopped(c)) (Farquhar et al. 2019, eq. 8). Its gradient is that of `policy_gradient`, its
    Hessian an unbiased estimate. Returns [M]; the value, zero, has no meaning. Of every n-th step, those left out count
    like those before them: the sum over the earlier ones is taken n times.
    """
    assert batch.episodes is not None, "the batch names its episodes"
    log_prob = distribution.log_prob(batch.actions)
    before = batch.stride * _sums_before(log_prob, batch.episodes)
    difference = _box(before + log_prob) - _box(before)
    return -(batch.weights * batch.advantages * difference).sum(dim=1)


def _box(c: Tensor) -> Tensor:
    """1, with the derivatives of exp(c) at c = 0."""
    return (c - c.detach()).exp()


def _sums_before(x: Tensor, episodes: Tensor) -> Tensor:
    """Of x [M, N], the sum over the steps of the same episode before each step."""
    steps = torch.arange(x.shape[1], device=x.device)
    begins = torch.ones_like(episodes, dtype=torch.bool)
    begins[:, 1:] = episodes[:, 1:] != episodes[:, :-1]
    first = steps.where(begins, 0).cummax(dim=1).values  # of each step's episode
    before = x.cumsum(dim=1) - x
    return before - before.gather(1, first)


def importance_ratio(distributions: Sequence[Distribution], batches: Sequence[Samples]) -> Tensor:
    """-mean(pi(a|s) / pi_old(a|s) * advantage) over the steps after adaptation (Schulman et al. 2015, eq. 14).

    distributions, batches: along the inner loop, of which the last count. pi_old took the actions. Returns [M].
    """
    return likelihood_ratio(distributions[-1], batches[-1])


def clipped_ratio(distribution: Distribution, batch: Samples, clip: float) -> Tensor:
    """-mean(min(r * advantage, clip(r, 1 +- `clip`) * advantage)), r the ratio of `likelihood_ratio`.

    Schulman et al. 2017, eq. 7. Returns [M].
    """
    assert batch.old is not None, "the batch names the policies that took the actions"
    ratio = (distribution.log_prob(batch.actions) - batch.old.log_prob(batch.actions)).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -(batch.weights * torch.minimum(ratio * batch.advantages, clipped * batch.advantages)).sum(dim=1)


def kl_from_old(distribution: Distribution, batch: Samples) -> Tensor:
    """KL(pi_old || pi), nats, a mean over task i's valid steps: [M]. pi_old took the actions."""
    assert batch.old is not None, "the batch names the policies that took the actions"
    return (batch.weights * batch.old.kl_to(distribution)).sum(dim=1)  # type: ignore[arg-type] # of the same kind


def mean_entropy(distribution: Distribution, batch: Samples) -> Tensor:
    """Entropy, nats, a mean over task i's valid steps: [M]."""
    return (batch.weights * distribution.entropy()).sum(dim=1)


ESTIMATORS = {
    "plain": Estimator(policy_gradient, policy_gradient),
    "lvc": Estimator(likelihood_ratio, likelihood_ratio),
    "dice": Estimator(dice, policy_gradient),  # elsewhere too its gradient is that of the policy there
}
