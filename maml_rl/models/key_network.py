"""The network of a memory's keys: a vector of length 1 for each picture as a function of theta_M [M, P]."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, normalize

from maml_rl.envs import KeyedGenerator
from maml_rl.models import derivatives
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Point
from maml_rl.models.embedding import of_convolutions
from maml_rl.models.model import Model
from maml_rl.models.narrow_products import add_product
from maml_rl.models.parameters import draw_weights, num_parameters, unflatten, xavier

CONVOLUTIONS = 4  # a maximum over 2 x 2 places stands behind every second one


def key_network_of(model: Model, size: int) -> "KeyNetwork":
    """The network for the pictures of a classifier, with as many filters. Raises UsageError for another model."""
    classifier = of_convolutions(model)
    return KeyNetwork(classifier.image_shape, classifier.filters, size)


@dataclass(frozen=True)
class KeyNetwork:
    """Two convolutions, two more of twice the filters, a layer, and a projection (Kaiser et al. 2017, authors' code).

    Without normalisation of batches: a key depends on no other picture. The initial weights are Xavier's; the authors'
    are truncated normals of deviation 0.1, and 0.01 in the projection.
    """

    image_shape: tuple[int, int, int] = (1, 28, 28)  # channels, height, width
    filters: int = 64
    size: int = 128  # D: numbers of a key
    normalised_by = "nothing"

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        channels, height, width = self.image_shape
        shapes: dict[str, tuple[int, ...]] = {}
        for number in range(CONVOLUTIONS):
            filters = self.filters if number < 2 else 2 * self.filters
            shapes |= {f"conv{number}.weight": (filters, channels, 3, 3), f"conv{number}.bias": (filters,)}
            channels = filters
            if number % 2:
                height, width = (height + 1) // 2, (width + 1) // 2
        shapes |= {"hidden.weight": (channels * height * width, self.size), "hidden.bias": (self.size,)}
        return shapes | {"projection.weight": (self.size, self.size)}

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the picture to the key."""
        names = [*(f"conv{number}" for number in range(CONVOLUTIONS)), "hidden"]
        return [*([f"{name}.weight", f"{name}.bias"] for name in names), ["projection.weight"]]

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """By the numbers of all hidden maps, as of `maml_rl.models.conv.ConvClassifier`."""
        _, height, width = self.image_shape
        return max(1, self.filters * (2 * height * width + height * width) // 350)

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: Xavier-uniform weights, zero biases."""
        return draw_weights(self.parameter_shapes, lambda name, shape: xavier(shape, generator))

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Point]:
        """Each task's own keys [M, N, D] of pictures [M, N, C, H, W]. theta_M: [M, P]."""
        return lambda images: Point(self.keys(theta_M, images))

    def keys(self, theta_M: Tensor, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """`at`, if dropout leaves what `kept` says of the numbers that the projection sees: [M, N, D], 1 or 0."""
        parameters = unflatten(self.parameter_shapes, theta_M)
        num_tasks = len(theta_M)
        x = images.transpose(0, 1).flatten(1, 2)  # [N, M C, H, W]: the maps of each task are a group
        for number in range(CONVOLUTIONS):
            weight, bias = (parameters[f"conv{number}.{part}"].flatten(0, 1) for part in ("weight", "bias"))
            x = conv2d(x, weight, bias, padding=1, groups=num_tasks).relu()
            if number % 2:
                x = max_pool2d(x, 2, ceil_mode=True)
        places = x.unflatten(1, (num_tasks, -1)).transpose(0, 1).flatten(2)  # [M, N, 2 F H W / 16]
        hidden = add_product(parameters["hidden.bias"][:, None], places, parameters["hidden.weight"])
        if kept is not None:
            hidden = hidden * kept
        return normalize(torch.bmm(hidden, parameters["projection.weight"]), dim=2)

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The keys around theta_M [M, P], at pictures [M, N, C, H, W]."""
        return derivatives.derivatives(self.at, theta_M, inputs)
