"""Distributions, one per step or example, of many tasks at once: over actions, over targets, over classes."""

from collections.abc import Callable, Sequence
from functools import cache
from math import log, pi
from typing import NamedTuple

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator


class Gaussian(NamedTuple):
    """Diagonal Gaussians over actions, one per step. Also holds a tangent or cotangent of their parameters."""

    mean: Tensor  # [M, N, A]
    log_std: Tensor  # [M, 1, A]

    @staticmethod
    def draw_noise(generator: KeyedGenerator, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Standard normal draws."""
        return generator.normal(*shape, dtype=dtype)

    def mode(self) -> Tensor:
        """The most probable actions [M, N, A]."""
        return self.mean

    def sample(self, noise: Tensor) -> Tensor:
        """Map noise [M, N, A], which the caller drew with `draw_noise`, to actions [M, N, A]."""
        return self.mean + self.log_std.exp() * noise

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a|s) [M, N]: the sum, not the mean, over the components of the action [M, N, A]."""
        z = (actions - self.mean) * (-self.log_std).exp()
        constant = 0.5 * log(2 * pi) * actions.shape[-1]
        return -0.5 * z.square().sum(dim=-1) - self.log_std.sum(dim=-1) - constant

    def kl_to(self, new: "Gaussian") -> Tensor:
        """KL(self || new) [M, N] in nats, summed over the components of the action."""
        variance_ratio = (2 * (self.log_std - new.log_std)).exp()
        z = (self.mean - new.mean) * (-new.log_std).exp()
        return (new.log_std - self.log_std + 0.5 * (variance_ratio + z.square() - 1)).sum(dim=-1)

    def entropy(self) -> Tensor:
        """[M, 1], nats, summed over components: the same in all states."""
        return self.log_std.sum(dim=-1) + 0.5 * (1 + log(2 * pi)) * self.log_std.shape[-1]

    def fisher(self, tangent: "Gaussian") -> "Gaussian":
        """The Fisher information of one step's (mean, log_std), times a tangent: (d mean / variance, 2 d log_std).

        It is the Hessian of KL(self || .) at self.
        """
        return Gaussian(tangent.mean * (-2 * self.log_std).exp(), 2 * tangent.log_std)


class Point(NamedTuple):
    """Predictions without a spread, as of a regression: Gaussians of unit variance. Also holds a (co)tangent.

    -log_prob and the KL are then half the squared distance, the former up to a constant, and the Fisher-vector product
    is that of least squares, D^T D v.
    """

    mean: Tensor  # [M, N, A]

    @staticmethod
    def draw_noise(generator: KeyedGenerator, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Standard normal draws."""
        return generator.normal(*shape, dtype=dtype)

    def mode(self) -> Tensor:
        """The predictions [M, N, A]."""
        return self.mean

    def sample(self, noise: Tensor) -> Tensor:
        """Map noise [M, N, A], which the caller drew with `draw_noise`, to targets [M, N, A]."""
        return self.mean + noise

    def log_prob(self, targets: Tensor) -> Tensor:
        """log p(y|x) [M, N]: the sum, not the mean, over the components of the target [M, N, A]."""
        return -0.5 * ((targets - self.mean).square().sum(dim=-1) + log(2 * pi) * targets.shape[-1])

    def kl_to(self, new: "Point") -> Tensor:
        """KL(self || new) [M, N] in nats: half the squared distance."""
        return 0.5 * (self.mean - new.mean).square().sum(dim=-1)

    def entropy(self) -> Tensor:
        """[M, 1], nats, summed over components: a constant."""
        return self.mean.new_full((len(self.mean), 1), 0.5 * (1 + log(2 * pi)) * self.mean.shape[-1])

    def fisher(self, tangent: "Point") -> "Point":
        """The Fisher information of one prediction, the identity, times a tangent.

        It is the Hessian of KL(self || .) at self.
        """
        return tangent


class Categorical(NamedTuple):
    """Distributions over A choices, one per step. An action is a one-hot vector [A]. Also holds a (co)tangent.

    `categorical(sizes)` makes the kind for actions of several components, which are independent of each other. Its
    parameters [A] and actions [A] are those of all components, one after another, and A is the sum of the sizes.
    """

    logits: Tensor  # [M, N, A], up to a constant for each step and component
    sizes = tuple[int, ...]()  # choices of each component; of a single one if empty. No annotation: it is no field

    @staticmethod
    def draw_noise(generator: KeyedGenerator, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Uniform draws from [0, 1)."""
        return generator.uniform(*shape, dtype=dtype)

    def mode(self) -> Tensor:
        """The most probable actions [M, N, A]."""
        return self._by_component(
            lambda logits: torch.zeros_like(logits).scatter_(-1, logits.argmax(dim=-1, keepdim=True), 1.0), self.logits
        )

    def sample(self, noise: Tensor) -> Tensor:
        """Map noise [M, N, A], which the caller drew with `draw_noise`, to actions [M, N, A].

        The largest of a component's logits plus Gumbel noise wins.
        """
        smallest = torch.finfo(noise.dtype).tiny
        gumbel = -(-noise.clamp(min=smallest).log()).clamp(min=smallest).log()
        return type(self)(self.logits + gumbel).mode()

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a|s) [M, N] of one-hot actions [M, N, A]: the sum over components."""
        return (actions * self.log_p()).sum(dim=-1)

    def kl_to(self, new: "Categorical") -> Tensor:
        """KL(self || new) [M, N] in nats, summed over components."""
        log_p, log_q = self.log_p(), new.log_p()
        return (log_p.exp() * (log_p - log_q)).sum(dim=-1)

    def entropy(self) -> Tensor:
        """[M, N], nats, summed over components."""
        log_p = self.log_p()
        return -(log_p.exp() * log_p).sum(dim=-1)

    def fisher(self, tangent: "Categorical") -> "Categorical":
        """The Fisher information of one step's logits, a block diag(p) - p p^T for each component, times a tangent.

        It is the Hessian of KL(self || .) at self.
        """
        p = self._by_component(lambda logits: logits.softmax(dim=-1), self.logits)
        weighted = p * tangent.logits
        totals = self._by_component(lambda each: each.sum(dim=-1, keepdim=True).expand_as(each), weighted)
        return type(self)(weighted - p * totals)

    def log_p(self) -> Tensor:
        """Logarithms of the choices' probabilities [M, N, A], which sum to one over each component."""
        return self._by_component(lambda logits: logits.log_softmax(dim=-1), self.logits)

    def _by_component(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """A function [M, N, size] -> [M, N, size] of each component's part of x [M, N, A]."""
        if not self.sizes:
            return function(x)
        return torch.cat([function(part) for part in x.split(self.sizes, dim=-1)], dim=-1)


@cache
def categorical(sizes: tuple[int, ...]) -> type[Categorical]:
    """Independent categoricals, one for each component of an action, which has that many choices.

    A class of its own for the same sizes: a distribution's only part is the logits, as `with_parts` needs it.
    """
    return Categorical if len(sizes) == 1 else type("Categorical", (Categorical,), {"sizes": sizes, "__slots__": ()})


Distribution = Gaussian | Categorical | Point


def with_parts(distribution: Distribution, parts: Sequence[Tensor]) -> Distribution:
    """A distribution, tangent or cotangent of the same kind, of other parameters."""
    return type(distribution)(*parts)
