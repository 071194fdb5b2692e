"""Convolutional embeddings: a vector for each image as a function of theta_M [M, P]."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from maml_rl.envs import KeyedGenerator
from maml_rl.models import derivatives
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Point
from maml_rl.models.model import Model
from maml_rl.models.parameters import num_parameters, unflatten, xavier
from maml_rl.schema.errors import UsageError

EPSILON = 1e-5  # added to the variance: PyTorch's


def embedding_of(model: Model) -> "ConvEmbedding":
    """The embedding of a classifier of pictures, as large as that is. Raises UsageError for another model."""
    classifier = of_convolutions(model)
    height, width = classifier.image_shape[1:]
    if min(height, width) < 2**classifier.blocks:
        allowed = f"as many as {height} x {width} pixels can be halved"
        raise UsageError(f"--blocks: got {classifier.blocks}, allowed: {allowed}")
    return ConvEmbedding(classifier.image_shape, classifier.filters, classifier.blocks)


def of_convolutions(model: Model) -> ConvClassifier:
    """The model, a classifier of pictures. Raises UsageError for another model."""
    if not isinstance(model, ConvClassifier):
        raise UsageError("--algorithm: this one is of convolutions, allowed: pictures with --network conv")
    return model


@dataclass(frozen=True)
class ConvEmbedding:
    """Blocks of a 3 x 3 convolution, batch normalisation, ReLU and a maximum over 2 x 2 places (Snell et al. 2017).

    In training a block normalises by the statistics of its batch (`learning`). These are kept in theta as moving
    averages, by which it normalises afterwards (`at`): an embedding then depends on no other image.
    """

    image_shape: tuple[int, int, int] = (1, 28, 28)  # channels, height, width
    filters: int = 64
    blocks: int = 4
    normalised_by = "training"

    @property
    def size(self) -> int:
        """D: numbers of an embedding."""
        _, height, width = self.image_shape
        for _ in range(self.blocks):
            height, width = height // 2, width // 2
        return self.filters * height * width

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        shapes: dict[str, tuple[int, ...]] = {}
        channels = self.image_shape[0]
        for block in range(self.blocks):
            shapes[f"block{block}.weight"] = (self.filters, channels, 3, 3)
            shapes |= {f"block{block}.{name}": (self.filters,) for name in ("scale", "shift")}
            channels = self.filters
        return shapes | dict.fromkeys(self.statistics, (self.filters,))

    @property
    def statistics(self) -> list[str]:
        """The parameters that are moving averages, and no gradient moves: a mean and a variance of each block."""
        return [f"block{block}.{name}" for block in range(self.blocks) for name in ("mean", "variance")]

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the image to the embedding."""
        return [[f"block{block}.{name}" for name in ("weight", "scale", "shift")] for block in range(self.blocks)]

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """By the numbers of all hidden maps, as of `maml_rl.models.conv.ConvClassifier`."""
        _, height, width = self.image_shape
        places = sum((height >> block) * (width >> block) for block in range(self.blocks))
        return max(1, self.filters * places // 350)

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: Xavier-uniform filters, scales and variances 1, shifts and means 0."""
        parts: list[Tensor] = []
        for name, shape in self.parameter_shapes.items():
            if name.endswith("weight"):
                parts.append(xavier(shape, generator).flatten())
            else:
                parts.append(torch.full(shape, float(name.endswith(("scale", "variance"))), dtype=torch.float64))
        return torch.cat(parts).float()

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Point]:
        """Each task's own embeddings [M, N, D] of images [M, N, C, H, W], by the kept statistics. theta_M: [M, P]."""
        parameters = unflatten(self.parameter_shapes, theta_M)
        kept = [parameters[name] for name in self.statistics]

        def embedded(images: Tensor) -> Point:
            return self._embedded(parameters, images, lambda block, x: (kept[2 * block], kept[2 * block + 1]))

        return embedded

    def learning(self, theta_M: Tensor) -> Callable[[Tensor], tuple[Point, Tensor]]:
        """As `at`, by the statistics of the images themselves; and these statistics [M, S], to be kept."""
        parameters = unflatten(self.parameter_shapes, theta_M)

        def embedded(images: Tensor) -> tuple[Point, Tensor]:
            seen: list[Tensor] = []

            def of_batch(block: int, x: Tensor) -> tuple[Tensor, Tensor]:
                variance, mean = torch.var_mean(x, dim=(0, 3, 4), correction=0)  # [M, F]
                count = x.shape[0] * x.shape[3] * x.shape[4]
                seen.extend([mean.detach(), variance.detach() * count / max(1, count - 1)])  # unbiased, as PyTorch's
                return mean, variance

            point = self._embedded(parameters, images, of_batch)
            return point, torch.cat(seen, dim=1)

        return embedded

    def _embedded(
        self,
        parameters: dict[str, Tensor],
        images: Tensor,
        statistics: Callable[[int, Tensor], tuple[Tensor, Tensor]],
    ) -> Point:
        """statistics: the mean and the variance [M, F] that a block normalises its maps x [N, M, F, H, W] by."""
        num_tasks = len(images)
        x = images.transpose(0, 1).flatten(1, 2)  # [N, M C, H, W]: the maps of each task are a group
        for block in range(self.blocks):
            filters, scale, shift = (parameters[name] for name in self.layers[block])
            maps = conv2d(x, filters.flatten(0, 1), padding=1, groups=num_tasks).unflatten(1, (num_tasks, -1))
            mean, variance = statistics(block, maps)
            factor = scale * (variance + EPSILON).rsqrt()  # [M, F]
            maps = maps * factor[..., None, None] + (shift - mean * factor)[..., None, None]
            x = max_pool2d(maps.flatten(1, 2).relu(), 2)
        return Point(x.unflatten(1, (num_tasks, -1)).transpose(0, 1).flatten(2))

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The embeddings around theta_M [M, P], at images [M, N, C, H, W]."""
        return derivatives.derivatives(self.at, theta_M, inputs)
