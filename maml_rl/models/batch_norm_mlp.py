"""Fully connected classifiers with batch normalisation: logits of images as a function of theta_M [M, P]."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.models import batch_norm_derivatives
from maml_rl.models.batch_norm import batch_normalised
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Categorical
from maml_rl.models.linear_maps import LinearMap, identity
from maml_rl.models.narrow_products import add_product, product
from maml_rl.models.normalised_blocks import Layers
from maml_rl.models.parameters import draw_weights, num_parameters, truncated_normal, unflatten, xavier


@dataclass(frozen=True)
class BatchNormMlp:
    """Layers with batch normalisation and ReLU, and a linear one.

    The defaults are the fully connected network for Omniglot of Finn et al. 2017 (section 5.2). The hidden layers have
    no bias: the normalisation would take it out again. It is `maml_rl.models.batch_norm`'s.
    """

    ways: int
    input_size: int = 784  # numbers of an image
    hidden_sizes: tuple[int, ...] = (256, 128, 64, 64)
    # Of the truncated normal that draws all weights, as in Finn et al.'s code; None for Xavier-uniform ones. The hidden
    # weights' size hardly matters to the logits. The gradient by them goes as its inverse, so that an inner step leads
    # further from small ones: measured as in `maml_rl.models.conv`, after 250 iterations with steps of 0.4, the
    # accuracy was 64 %, and 40 % with None.
    init_std: float | None = 0.01

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        sizes = (self.input_size, *self.hidden_sizes)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (size_in, size_out) in enumerate(pairwise(sizes)):
            shapes |= {f"layer{layer}.weight": (size_in, size_out), f"layer{layer}.shift": (size_out,)}
        return shapes | {"output.weight": (sizes[-1], self.ways), "output.bias": (self.ways,)}

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the image to the output."""
        hidden = [[f"layer{layer}.weight", f"layer{layer}.shift"] for layer in range(len(self.hidden_sizes))]
        return [*hidden, ["output.weight", "output.bias"]]

    @property
    def shifts(self) -> list[str]:
        """The names of the normalisations' shifts, which the inner loop of Finn et al.'s code leaves as they are."""
        return [f"layer{layer}.shift" for layer in range(len(self.hidden_sizes))]

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """By the weights: those of all tasks, for few images each, take more of the caches than the images."""
        return max(1, self.num_parameters // 5000)

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: random weights as of `init_std`, zero shifts and biases."""

        def draw(_: str, shape: tuple[int, ...]) -> Tensor:
            if self.init_std is None:
                return xavier(shape, generator)
            return truncated_normal(shape, self.init_std, generator)

        return draw_weights(self.parameter_shapes, draw)

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Categorical]:
        """Each task's own logits [M, N, ways] of images [M, N, ...]. theta_M: [M, P].

        All of a task's images are normalised together: its result for one depends on the others.
        """
        parameters = unflatten(self.parameter_shapes, theta_M)
        hidden = [(parameters[weight], parameters[shift]) for weight, shift in self.layers[:-1]]
        weight, bias = parameters["output.weight"], parameters["output.bias"][:, None]

        def distribution(images: Tensor) -> Categorical:
            x = images.flatten(2)  # [M, N, I]
            for matrix, shift in hidden:
                features = product(x, matrix).transpose(0, 1)  # [N, M, F]
                x = batch_normalised(features.flatten(1), shift).view_as(features).relu().transpose(0, 1)
            return Categorical(add_product(bias, x, weight))

        return distribution

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The classifiers around theta_M [M, P], at images [M, N, ...]."""
        return batch_norm_derivatives.derivatives(self, theta_M, inputs)

    def layers_of(self, theta_M: Tensor) -> Layers:
        """Weights [M, out, in] and shifts, the linear layer's weights and bias: views."""
        parts = unflatten(self.parameter_shapes, theta_M)
        return [(parts[weight].mT, parts[other][:, None]) for weight, other in self.layers]

    def first_rows(self, inputs: Tensor) -> Tensor:
        """Images [M, N, ...] as rows."""
        return inputs.flatten(2)

    def onward(self, block: int, h: Tensor, num_inputs: int) -> LinearMap:
        """A row is an image throughout."""
        return identity()
