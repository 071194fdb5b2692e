"""The oracle of an update: autograd through the whole of it, in float64, and the questions that an update asks.

Log-probabilities and divergences are those of `torch.distributions`, the losses those of the papers: nothing here is
shared with the algorithms but the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Independent, Normal, kl_divergence

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import KeyedGenerator
from maml_rl.meta import meta_step as meta_step_module
from maml_rl.meta.algorithm import State
from maml_rl.meta.trust_region import Step
from maml_rl.models.distributions import Gaussian
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.samples import Samples
from tests.maml_rl.given_problem import GivenProblem

Loss = Callable[[Any, Samples], Tensor]
OuterLoss = Callable[[Sequence[Any], Sequence[Samples]], Tensor]


# ---- an algorithm, and a problem that keeps what it drew


@dataclass(frozen=True)
class RecordingProblem(GivenProblem):
    drawn: list[Samples] = field(default_factory=list)

    def draw(self, theta_M: Tensor, k: int) -> Samples:
        self.drawn.append(super().draw(theta_M, k))
        return self.drawn[-1]


def made(name: str, policy: MlpPolicy, **options: Any) -> tuple[Any, MlpPolicy, State]:
    """An algorithm, the model that it trains, and its first state in float64, its output layer not small."""
    entry = ALGORITHMS[name]
    given = entry.options(**options)
    algorithm, model = entry.make(given), entry.model(policy, given)
    state = {key: part.double() for key, part in algorithm.init(model, KeyedGenerator(1)).items()}
    return algorithm, model, state


@dataclass(frozen=True)
class Asked:
    """What an update asked of a trust-region step."""

    point: Tensor
    loss: float
    gradient: Tensor
    product: Callable[[Tensor], Tensor]
    evaluate: Callable[[Tensor], tuple[float, float]]


def asked_of_a_trust_region(monkeypatch, algorithm, state: State, problem: GivenProblem) -> Asked:
    """The question of an update that takes one trust-region step. It gets no answer."""
    asked: list[Asked] = []

    def step(point, loss, gradient, product, evaluate, **settings):
        asked.append(Asked(point, loss, gradient, product, evaluate))
        return Step(point, loss, 0.0, accepted=False, backtracks=0)

    with monkeypatch.context() as patch:
        patch.setattr(meta_step_module, "trust_region_step", step)
        algorithm.update(state, problem)
    [only] = asked
    return only


# ---- losses, as the papers have them


def as_torch(distribution) -> torch.distributions.Distribution:
    """A Gaussian, or the only component of a categorical."""
    if isinstance(distribution, Gaussian):
        mean, log_std = distribution
        return Independent(Normal(mean, log_std.exp().expand_as(mean)), 1)
    return TorchCategorical(logits=distribution.logits)


def log_prob(distribution, actions: Tensor) -> Tensor:
    continuous = isinstance(distribution, Gaussian)
    return as_torch(distribution).log_prob(actions if continuous else actions.argmax(dim=-1))


def fixed(distribution):
    return type(distribution)(*(part.detach() for part in distribution))


def kl_old_new(old, new) -> Tensor:
    return kl_divergence(as_torch(fixed(old)), as_torch(new))


def plain(distribution, batch: Samples) -> Tensor:
    """-mean(log pi * A)."""
    return -(batch.weights * batch.advantages * log_prob(distribution, batch.actions)).sum(1)


def lvc(distribution, batch: Samples) -> Tensor:
    """-mean(pi / pi_old * A)."""
    ratio = (log_prob(distribution, batch.actions) - log_prob(fixed(batch.old), batch.actions)).exp()
    return -(batch.weights * batch.advantages * ratio).sum(1)


def dice(distribution, batch: Samples) -> Tensor:
    """-mean(box(c_t) * r_t), c_t = sum of log pi up to t, r_t what the weighted advantages lose from t to t + 1."""
    lp, assigned = log_prob(distribution, batch.actions), batch.weights * batch.advantages
    losses = []
    for i in range(len(lp)):
        total = lp.new_zeros(())
        for episode in batch.episodes[i].unique():  # type: ignore[index] # they are given
            steps = (batch.episodes[i] == episode).nonzero()[:, 0]  # type: ignore[index]
            c = lp.new_zeros(())
            for n, step in enumerate(steps):
                c = c + lp[i, step]
                later = assigned[i, steps[n + 1]] if n + 1 < len(steps) else 0.0
                total = total + (c - c.detach()).exp() * (assigned[i, step] - later)
        losses.append(-total)
    return torch.stack(losses)


INNER: dict[str, Loss] = {"plain": plain, "lvc": lvc, "dice": dice}


def of_the_last(distributions, batches) -> Tensor:
    """-mean(pi / pi_old * A) after adaptation."""
    return lvc(distributions[-1], batches[-1])


def exploring(weight: float) -> OuterLoss:
    """E-MAML's: the return after adaptation, standardised over tasks, times log pi before it."""

    def loss(distributions, batches) -> Tensor:
        returns = batches[-1].returns
        R = (returns - returns.mean()) / returns.std(correction=0)
        credit = torch.stack(
            [(b.weights * log_prob(d, b.actions)).sum(1) for d, b in zip(distributions[:-1], batches[:-1], strict=True)]
        )
        return of_the_last(distributions, batches) - weight * R * credit.sum(0)

    return loss


def proximal(clip: float, eta: float) -> OuterLoss:
    """ProMP's: the clipped ratio after adaptation, and the KL before each step from the policies that played."""

    def loss(distributions, batches) -> Tensor:
        new, batch = distributions[-1], batches[-1]
        ratio = (log_prob(new, batch.actions) - log_prob(fixed(batch.old), batch.actions)).exp()
        A = batch.advantages
        total = -(batch.weights * torch.minimum(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A)).sum(1)
        for d, b in zip(distributions[:-1], batches[:-1], strict=True):
            total = total + eta * (b.weights * kl_old_new(b.old, d)).sum(1) / (len(batches) - 1)
        return total

    return loss


# ---- autograd through everything


def distributions(
    policy: MlpPolicy,
    theta: Tensor,
    alpha: Tensor | float,
    loss: Loss,
    batches: Sequence[Samples],
    first_order: bool = False,
) -> list[Any]:
    """The policies before each inner step and after the last, as functions of theta [P] and alpha."""
    theta_M, along = theta.expand(len(batches[0].weights), -1), []
    for batch in batches[:-1]:
        along.append(policy.at(theta_M)(batch.inputs))
        (gradient,) = torch.autograd.grad(loss(along[-1], batch).sum(), theta_M, create_graph=True)
        theta_M = theta_M - alpha * (gradient.detach() if first_order else gradient)
    return [*along, policy.at(theta_M)(batches[-1].inputs)]


def outer_loss_and_gradient(along: Callable[[Tensor], list[Any]], outer: OuterLoss, point: Tensor, batches) -> tuple:
    """The mean over tasks of the outer loss, a function of the point, and its gradient."""
    leaf = point.detach().clone().requires_grad_()
    loss = outer(along(leaf), batches).mean()
    return float(loss.detach()), torch.autograd.grad(loss, leaf)[0]


def mean_kl(along: Callable[[Tensor], list[Any]], point: Tensor, batches) -> Callable[[Tensor], Tensor]:
    """KL(adapted at the point || adapted at x), a mean over steps and tasks, as a function of x."""
    old = fixed(along(point.detach().clone().requires_grad_())[-1])
    return lambda x: (batches[-1].weights * kl_old_new(old, along(x)[-1])).sum(1).mean()
