"""Models: distributions as a function of a parameter tensor theta_M [M, P] with a leading task axis."""

from collections.abc import Callable, Collection, Sequence
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Distribution


class Model(Protocol):
    """Pure functions of theta_M. It holds sizes and settings, and no parameters."""

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        ...

    @property
    def num_parameters(self) -> int:
        """P."""
        ...

    @property
    def rows_per_input(self) -> int:
        """The rows of a matrix of 100 columns that take as much of a core's caches as one input on its way."""
        ...

    @property
    def layers(self) -> Sequence[Sequence[str]]:
        """The names of each layer's parameters, from the inputs to the output. A parameter may be of none."""
        ...

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32."""
        ...

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Distribution]:
        """The distributions at inputs [M, N, ...]. Everything that does not depend on the inputs is computed once."""
        ...

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The model around theta_M, at inputs [M, N, ...]."""
        ...


def chosen_parameters(model: Model, names: Collection[str], like: Tensor) -> Tensor:
    """[P], 1 at the parameters of these names and 0 elsewhere, on the device and in the dtype of `like`."""
    assert set(names) <= model.parameter_shapes.keys(), names
    return torch.cat([like.new_full((prod(shape),), name in names) for name, shape in model.parameter_shapes.items()])
