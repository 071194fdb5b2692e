"""MLP policies: pure functions of a parameter tensor theta_M [M, P] with a leading task axis."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import log, prod
from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.models import mlp_derivatives
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Distribution, Gaussian, categorical
from maml_rl.models.narrow_products import add_product


@dataclass(frozen=True)
class MlpPolicy:
    """A multi-layer perceptron gives the mean of a Gaussian, or the logits of categorical distributions.

    A Gaussian's log standard deviations are parameters that do not depend on the state. Each is floored at
    `min_log_std`: below it the standard deviation no longer changes.
    """

    observation_size: int
    action_size: int
    hidden_sizes: tuple[int, ...] = (100, 100)
    nonlinearity: Literal["relu", "tanh"] = "relu"
    init_log_std: float = 0.0
    min_log_std: float = log(1e-6)
    output_scale: float = 1.0  # of the output layer's initial weights
    choices: tuple[int, ...] = ()  # of each component of a discrete action, `action_size` in all; () for a Gaussian
    # Parameters that stand beside the observation as inputs of the network, the same in all states: zero at first.
    context_size: int = 0

    def __post_init__(self) -> None:
        assert not self.choices or sum(self.choices) == self.action_size, (self.choices, self.action_size)

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        sizes = (self.observation_size + self.context_size, *self.hidden_sizes, self.action_size)
        shapes: dict[str, tuple[int, ...]] = {"context": (self.context_size,)} if self.context_size else {}
        for layer, (size_in, size_out) in enumerate(pairwise(sizes)):
            shapes[f"layer{layer}.weight"] = (size_in, size_out)
            shapes[f"layer{layer}.bias"] = (size_out,)
        if not self.choices:
            shapes["log_std"] = (self.action_size,)
        return shapes

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the observations to the output."""
        return [[f"layer{layer}.weight", f"layer{layer}.bias"] for layer in range(len(self.hidden_sizes) + 1)]

    @property
    def num_parameters(self) -> int:
        """P."""
        return sum(prod(shape) for shape in self.parameter_shapes.values())

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: Xavier-uniform weights (Glorot & Bengio 2010, eq. 16), zero biases, `init_log_std`.

        The output layer's weights are `output_scale` times as large.
        """
        parts: list[Tensor] = []
        output = f"layer{len(self.hidden_sizes)}.weight"
        for name, shape in self.parameter_shapes.items():
            if name.endswith("weight"):
                bound = (6 / sum(shape)) ** 0.5 * (self.output_scale if name == output else 1.0)
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
        """Mean standard deviation over a Gaussian's components, in units of the policy's output. theta: [P]."""
        return float(self.unflatten(theta[None])["log_std"].clamp(min=self.min_log_std).exp().mean())

    def over_actions(self, *parameters: Tensor) -> Distribution:
        """The policy's kind of distribution, of the network's output [M, N, A] and the result of `shared`."""
        return categorical(self.choices)(*parameters) if self.choices else Gaussian(*parameters)

    def shared(self, theta_M: Tensor) -> tuple[Tensor, ...]:
        """The distribution's parameters that are the same in all states: log_std [M, 1, A] of a Gaussian."""
        if self.choices:
            return ()
        return (self.unflatten(theta_M)["log_std"][:, None].clamp(min=self.min_log_std),)

    def active(self, theta_M: Tensor) -> list[Tensor]:
        """For each part of `shared` [M, 1, A]: 1 if it follows its parameter, 0 if it is at its floor."""
        if self.choices:
            return []
        log_std = self.unflatten(theta_M.detach())["log_std"][:, None]
        return [(log_std >= self.min_log_std).to(theta_M.dtype)]

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Distribution]:
        """pi(.|s) of each task's own policy, of observations [M, N, O]. theta_M: [M, P]."""
        parameters = self.unflatten(theta_M)
        layers = range(len(self.hidden_sizes) + 1)
        weights = [parameters[f"layer{layer}.weight"] for layer in layers]
        biases = [parameters[f"layer{layer}.bias"][:, None] for layer in layers]
        shared = self.shared(theta_M)
        context = parameters["context"][:, None] if self.context_size else None
        nonlinearity = torch.relu if self.nonlinearity == "relu" else torch.tanh

        def distribution(observations: Tensor) -> Distribution:
            x = observations
            if context is not None:
                x = torch.cat([x, context.expand(-1, x.shape[1], -1)], dim=-1)
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                x = nonlinearity(add_product(bias, x, weight))
            return self.over_actions(add_product(biases[-1], x, weights[-1]), *shared)

        return distribution

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The policies around theta_M [M, P], at observations [M, N, O]."""
        return mlp_derivatives.derivatives(self, theta_M, inputs)
