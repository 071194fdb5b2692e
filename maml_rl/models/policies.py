"""MLP policies: pure functions of a parameter tensor theta_M [M, P] with a leading task axis."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.models import mlp_derivatives
from maml_rl.models.action_head import ActionHead
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Distribution
from maml_rl.models.mlp import Nonlinearity, mlp_layers, mlp_output, mlp_shapes
from maml_rl.models.normalization import Normalization
from maml_rl.models.parameters import draw_parameters, num_parameters, unflatten, xavier_bound


@dataclass(frozen=True)
class MlpPolicy:
    """A multi-layer perceptron gives the mean of a Gaussian, or the logits of categorical distributions.

    A Gaussian's log standard deviations are parameters that do not depend on the state. Each is floored at
    `min_log_std`: below it the standard deviation no longer changes.
    """

    observation_size: int
    action_size: int
    hidden_sizes: tuple[int, ...] = (100, 100)
    nonlinearity: Nonlinearity = "relu"
    init_log_std: float = 0.0
    min_log_std: float = log(1e-6)
    output_scale: float = 1.0  # of the output layer's initial weights
    choices: tuple[int, ...] = ()  # of each component of a discrete action, `action_size` in all; () for a Gaussian
    normalization: Normalization | None = None  # of the observations that the network sees; None if as they are
    # Parameters that stand beside the observation as inputs of the network, the same in all states: zero at first.
    context_size: int = 0

    def __post_init__(self) -> None:
        assert not self.choices or sum(self.choices) == self.action_size, (self.choices, self.action_size)

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        sizes = (self.observation_size, *self.hidden_sizes, self.action_size)
        shapes = mlp_shapes(sizes, self.context_size)
        if not self.choices:
            shapes["log_std"] = (self.action_size,)
        return shapes

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the observations to the output."""
        return mlp_layers(len(self.hidden_sizes) + 1)

    @property
    def memory_size(self) -> int:
        """None."""
        return 0

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """An input is one row of each layer."""
        return 1

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: Xavier-uniform weights, zero biases, `init_log_std`.

        The output layer's weights are `output_scale` times as large.
        """
        shapes, output = self.parameter_shapes, f"layer{len(self.hidden_sizes)}.weight"

        def bound(name: str) -> float:
            size_in, size_out = shapes[name]
            return xavier_bound(size_in, size_out) * (self.output_scale if name == output else 1.0)

        return draw_parameters(shapes, bound, generator, self.init_log_std)

    def unflatten(self, theta_M: Tensor) -> dict[str, Tensor]:
        """Views [M, *shape] of the parameters in theta_M [M, P]."""
        return unflatten(self.parameter_shapes, theta_M)

    @property
    def head(self) -> ActionHead:
        """The distribution on top of the network."""
        return ActionHead(self.choices, self.min_log_std)

    def mean_std(self, theta: Tensor) -> float:
        """Mean standard deviation over a Gaussian's components, in units of the policy's output. theta: [P]."""
        return self.head.mean_std(self.unflatten(theta[None])["log_std"])

    def over_actions(self, *parameters: Tensor) -> Distribution:
        """The policy's kind of distribution, of the network's output [M, N, A] and the result of `shared`."""
        return self.head.over_actions(*parameters)

    def shared(self, theta_M: Tensor) -> tuple[Tensor, ...]:
        """The distribution's parameters that are the same in all states: log_std [M, 1, A] of a Gaussian."""
        return self.head.shared(self.unflatten(theta_M).get("log_std"))

    def active(self, theta_M: Tensor) -> list[Tensor]:
        """For each part of `shared` [M, 1, A]: 1 if it follows its parameter, 0 if it is at its floor."""
        return self.head.active(self.unflatten(theta_M).get("log_std"))

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Distribution]:
        """pi(.|s) of each task's own policy, of observations [M, N, O]. theta_M: [M, P]."""
        output = mlp_output(self.unflatten(theta_M), len(self.hidden_sizes) + 1, self.nonlinearity)
        shared, seen = self.shared(theta_M), self._seen(theta_M)
        return lambda observations: self.over_actions(output(seen(observations)), *shared)

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The policies around theta_M [M, P], at observations [M, N, O]."""
        return mlp_derivatives.derivatives(self, theta_M, self._seen(theta_M)(inputs))

    def _seen(self, theta_M: Tensor) -> Callable[[Tensor], Tensor]:
        """What the network has for an input, of observations."""
        return self.normalization.like(theta_M) if self.normalization else lambda observations: observations
