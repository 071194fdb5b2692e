"""Models: distributions as a function of a parameter tensor theta_M [M, P] with a leading task axis."""

from collections.abc import Callable
from typing import Protocol

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

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32."""
        ...

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Distribution]:
        """The distributions at inputs [M, N, ...]. Everything that does not depend on the inputs is computed once."""
        ...

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The model around theta_M, at inputs [M, N, ...]."""
        ...
