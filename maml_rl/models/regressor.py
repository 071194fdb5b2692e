"""MLP regressors: predictions without a spread as a function of theta_M [M, P]."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.models import mlp_derivatives
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Point
from maml_rl.models.mlp import Nonlinearity, mlp_layers, mlp_output, mlp_shapes
from maml_rl.models.parameters import draw_weights, num_parameters, truncated_normal, unflatten, xavier


@dataclass(frozen=True)
class MlpRegressor:
    """A multi-layer perceptron predicts targets [A] of inputs [I]. For the sinusoids 1-40-40-1 (Finn et al. 2017)."""

    input_size: int = 1
    output_size: int = 1
    hidden_sizes: tuple[int, ...] = (40, 40)
    nonlinearity: Nonlinearity = "relu"
    # Of the truncated normal that draws all weights, 0.01 in Finn et al.'s code; None for Xavier-uniform ones, which
    # learn faster: 10-shot squared errors after 1,000, 2,000, ..., 5,000 iterations of MAML on sinusoids (25 tasks, one
    # step of 0.01, one seed) were 1.35, 0.81, 0.68, 0.62, 0.62, and with 0.01 they were 3.32, 1.78, 0.99, 0.79, 0.75.
    init_std: float | None = None
    # Parameters that stand beside the input, the same for all examples: zero at first.
    context_size: int = 0

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        return mlp_shapes((self.input_size, *self.hidden_sizes, self.output_size), self.context_size)

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the input to the output."""
        return mlp_layers(len(self.hidden_sizes) + 1)

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """An input is one row of each layer."""
        return 1

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: random weights, zero biases."""

        def draw(_: str, shape: tuple[int, ...]) -> Tensor:
            if self.init_std is None:
                return xavier(shape, generator)
            return truncated_normal(shape, self.init_std, generator)

        return draw_weights(self.parameter_shapes, draw)

    def unflatten(self, theta_M: Tensor) -> dict[str, Tensor]:
        """Views [M, *shape] of the parameters in theta_M [M, P]."""
        return unflatten(self.parameter_shapes, theta_M)

    def over_actions(self, *parameters: Tensor) -> Point:
        """The predictions, of the network's output [M, N, A]."""
        return Point(*parameters)

    def shared(self, theta_M: Tensor) -> tuple[Tensor, ...]:
        """The distribution's parameters that are the same for all examples: none."""
        return ()

    def active(self, theta_M: Tensor) -> list[Tensor]:
        """For each part of `shared`, whether it follows its parameter: none."""
        return []

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Point]:
        """Each task's own predictions, of inputs [M, N, I]. theta_M: [M, P]."""
        output = mlp_output(self.unflatten(theta_M), len(self.hidden_sizes) + 1, self.nonlinearity)
        return lambda inputs: Point(output(inputs))

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The predictions around theta_M [M, P], at inputs [M, N, I]."""
        return mlp_derivatives.derivatives(self, theta_M, inputs)
