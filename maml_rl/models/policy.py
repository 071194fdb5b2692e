"""The contract of a policy: a model whose distributions are over actions."""

from typing import Protocol

from torch import Tensor

from maml_rl.models.distributions import Distribution
from maml_rl.models.model import Model


class Policy(Model, Protocol):
    """A model that maps observations to distributions over actions."""

    @property
    def observation_size(self) -> int: ...
    @property
    def action_size(self) -> int: ...
    @property
    def choices(self) -> tuple[int, ...]:
        """Of each component of a discrete action, `action_size` in all; () for a Gaussian."""
        ...

    @property
    def memory_size(self) -> int:
        """Numbers that it keeps from one step to the next: 0 if an action depends on the present observation alone."""
        ...

    def mean_std(self, theta: Tensor) -> float:
        """Mean standard deviation over a Gaussian's components, in units of the policy's output. theta: [P]."""
        ...

    def over_actions(self, *parameters: Tensor) -> Distribution:
        """The policy's kind of distribution, of the network's output [M, N, A] and the result of `shared`."""
        ...

    def shared(self, theta_M: Tensor) -> tuple[Tensor, ...]:
        """The distribution's parameters that are the same in all states: log_std [M, 1, A] of a Gaussian."""
        ...
