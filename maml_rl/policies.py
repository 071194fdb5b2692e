"""Gaussian MLP policies: pure functions of a parameter tensor theta_M [M, P] with a leading task axis."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import log, pi, prod
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from envs import KeyedGenerator
from maml_rl.products import add_product


class Gaussian(NamedTuple):
    """Diagonal Gaussians over actions, one per step. Also holds a tangent or cotangent of their parameters."""

    mean: Tensor  # [M, N, A]
    log_std: Tensor  # [M, 1, A]

    def sample(self, noise: Tensor) -> Tensor:
        """Actions [M, N, A] from standard normal noise [M, N, A]."""
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

    def fisher(self, tangent: "Gaussian") -> "Gaussian":
        """The Fisher information of one step's (mean, log_std), times a tangent: (d mean / variance, 2 d log_std).

        It is the Hessian of KL(self || .) at self.
        """
        return Gaussian(tangent.mean * (-2 * self.log_std).exp(), 2 * tangent.log_std)


@dataclass(frozen=True)
class GaussianMlpPolicy:
    """A multi-layer perceptron gives the mean; log standard deviations are parameters that do not depend on the state.

    Each log_std is floored at `min_log_std`: below it the standard deviation no longer changes.
    """

    observation_size: int
    action_size: int
    hidden_sizes: tuple[int, ...] = (100, 100)
    nonlinearity: Literal["relu", "tanh"] = "relu"
    init_log_std: float = 0.0
    min_log_std: float = log(1e-6)

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        sizes = (self.observation_size, *self.hidden_sizes, self.action_size)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (size_in, size_out) in enumerate(pairwise(sizes)):
            shapes[f"layer{layer}.weight"] = (size_in, size_out)
            shapes[f"layer{layer}.bias"] = (size_out,)
        shapes["log_std"] = (self.action_size,)
        return shapes

    @property
    def num_parameters(self) -> int:
        """P."""
        return sum(prod(shape) for shape in self.parameter_shapes.values())

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: Xavier-uniform weights (Glorot & Bengio 2010, eq. 16), zero biases, `init_log_std`."""
        parts: list[Tensor] = []
        for name, shape in self.parameter_shapes.items():
            if name.endswith("weight"):
                bound = (6 / sum(shape)) ** 0.5
                parts.append(generator.uniform(1, prod(shape), low=-bound, high=bound)[0])
            else:
                parts.append(torch.full((prod(shape),), self.init_log_std if name == "log_std" else 0.0))
        return torch.cat(parts).float()

    def unflatten(self, theta_M: Tensor) -> dict[str, Tensor]:
        """Views [M, *shape] of the parameters in theta_M [M, P]."""
        shapes = self.parameter_shapes
        flat = theta_M.split([prod(shape) for shape in shapes.values()], dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), flat, strict=True)}

    def mean_std(self, theta: Tensor) -> float:
        """Mean standard deviation over the action's components, in units of the policy's output. theta: [P]."""
        return float(self.unflatten(theta[None])["log_std"].clamp(min=self.min_log_std).exp().mean())

    def distribution(self, theta_M: Tensor, observations: Tensor) -> Gaussian:
        """pi(.|s) of each task's own policy. theta_M: [M, P]. observations: [M, N, O]."""
        return self.at(theta_M)(observations)

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Gaussian]:
        """`distribution` as a function of the observations alone; what does not depend on them is computed once."""
        parameters = self.unflatten(theta_M)
        layers = range(len(self.hidden_sizes) + 1)
        weights = [parameters[f"layer{layer}.weight"] for layer in layers]
        biases = [parameters[f"layer{layer}.bias"][:, None] for layer in layers]
        log_std = parameters["log_std"][:, None].clamp(min=self.min_log_std)
        nonlinearity = torch.relu if self.nonlinearity == "relu" else torch.tanh

        def distribution(observations: Tensor) -> Gaussian:
            x = observations
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                x = nonlinearity(add_product(bias, x, weight))
            return Gaussian(add_product(biases[-1], x, weights[-1]), log_std)

        return distribution
