"""The networks of the neural statistician as a function of theta_M [M, P] (Edwards & Storkey 2017)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, elu

from maml_rl.envs import KeyedGenerator
from maml_rl.models import derivatives
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Gaussian, Point
from maml_rl.models.embedding import EPSILON, of_convolutions
from maml_rl.models.model import Model
from maml_rl.models.parameters import num_parameters, unflatten, xavier
from maml_rl.schema.errors import UsageError

DEPTH = 3  # layers of a block, and hidden layers of each fully connected network


def statistician_of(model: Model, hidden_size: int, context_width: int, latent_size: int) -> "Statistician":
    """The statistician of a classifier's pictures, with its filters and blocks. Raises UsageError for another model."""
    classifier = of_convolutions(model)
    height, width = classifier.image_shape[1:]
    if min(height, width) <= 2 ** (classifier.blocks - 1):
        allowed = f"as many as {height} x {width} pixels can be halved"
        raise UsageError(f"--blocks: got {classifier.blocks}, allowed: {allowed}")
    sizes = classifier.filters, classifier.blocks, hidden_size, context_width, latent_size
    return Statistician(classifier.image_shape, *sizes)


@dataclass(frozen=True)
class Statistician:
    """Five networks: encoder, statistics network q(c|D), inference network q(z|c, x), latent prior p(z|c), decoder.

    Each hidden layer has batch normalisation and ELU, as the authors' have. The encoder's
    blocks are two 3 x 3 convolutions and one of stride 2, with `filters`, twice as many, ...; the decoder's are two
    convolutions and a transposed one, cut to the encoder's sides. As in `maml_rl.models.embedding`, training normalises
    by the statistics of a task's batch, and theta keeps moving averages of them, which normalise afterwards.
    """

    image_shape: tuple[int, int, int] = (1, 28, 28)  # channels, height, width
    filters: int = 64
    blocks: int = 3
    hidden_size: int = 256
    context_width: int = 512  # C, numbers of c
    latent_size: int = 16  # Z, numbers of z
    normalised_by = "training"

    @property
    def sides(self) -> list[tuple[int, int]]:
        """Height and width before the first block, and after each: halves, rounded up."""
        sides = [self.image_shape[1:]]
        for _ in range(self.blocks):
            height, width = sides[-1]
            sides.append(((height + 1) // 2, (width + 1) // 2))
        return sides

    @property
    def last_maps(self) -> tuple[int, int, int]:
        """(filters, height, width) of the encoder's last block."""
        return self.filters * 2 ** (self.blocks - 1), *self.sides[-1]

    @property
    def weight_shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Of each normalised layer the name and shape of its weights."""
        hidden, C, Z = self.hidden_size, self.context_width, self.latent_size
        deepest, height, width = self.last_maps
        F = deepest * height * width
        shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        channels = self.image_shape[0]
        for block in range(self.blocks):
            maps = self.filters * 2**block
            for layer in range(DEPTH):
                shapes[f"encoder{block}.{layer}"] = {"weight": (maps, channels, 3, 3)}
                channels = maps
        first = {
            "statistics": {"image": (F, hidden)},
            "inference": {"image": (F, hidden), "context": (C, hidden)},
            "prior": {"context": (C, hidden)},
        }
        for network, weights in first.items():
            shapes[f"{network}.0"] = weights
            shapes |= {f"{network}.{layer}": {"weight": (hidden, hidden)} for layer in range(1, DEPTH)}
        shapes["statistics.1"]["size"] = (1, hidden)
        shapes["decoder.0"] = {"context": (C, hidden), "latent": (Z, hidden)}
        shapes["decoder.1"] = {"weight": (hidden, F)}
        for block in reversed(range(self.blocks)):
            maps = self.filters * 2**block
            shapes[f"decoder{block}.0"] = {"weight": (maps, channels, 3, 3)}
            shapes[f"decoder{block}.1"] = {"weight": (maps, maps, 3, 3)}
            shapes[f"decoder{block}.2"] = {"weight": (maps, maps, 2, 2)}  # transposed: [in, out, 2, 2]
            channels = maps
        return shapes

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of the parameters of the last layers, which are not normalised."""
        C, Z, channels = self.context_width, self.latent_size, self.image_shape[0]
        shapes: dict[str, tuple[int, ...]] = {}
        for network, size in (("statistics", C), ("inference", Z), ("prior", Z)):
            shapes |= {f"{network}.output.weight": (self.hidden_size, 2 * size), f"{network}.output.bias": (2 * size,)}
        return shapes | {"decoder.output.weight": (channels, self.filters, 1, 1), "decoder.output.bias": (channels,)}

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        shapes: dict[str, tuple[int, ...]] = {}
        kept: dict[str, tuple[int, ...]] = {}
        for layer, weights in self.weight_shapes.items():
            size = (self._features(layer, weights),)
            shapes |= {f"{layer}.{name}": shape for name, shape in weights.items()}
            shapes |= {f"{layer}.scale": size, f"{layer}.shift": size}
            kept |= {f"{layer}.mean": size, f"{layer}.variance": size}
        return shapes | self.output_shapes | kept

    def _features(self, layer: str, weights: dict[str, tuple[int, ...]]) -> int:
        """The numbers, or maps, that a layer normalises one by one."""
        shape = next(iter(weights.values()))
        if layer == "decoder.1":
            return self.last_maps[0]
        return shape[0] if len(shape) == 4 else shape[1]

    @property
    def statistics(self) -> list[str]:
        """The parameters that are moving averages, and no gradient moves: a mean and a variance of each layer."""
        return [f"{layer}.{name}" for layer in self.weight_shapes for name in ("mean", "variance")]

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters."""
        hidden = [
            [f"{layer}.{name}" for name in (*weights, "scale", "shift")]
            for layer, weights in self.weight_shapes.items()
        ]
        return [*hidden, list(self.output_shapes)]

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """By the numbers of all hidden maps, as of `maml_rl.models.conv.ConvClassifier`, of encoder and decoder."""
        _, height, width = self.image_shape
        places = sum(-(-height // 2**block) * -(-width // 2**block) for block in range(self.blocks))
        return max(1, 3 * 2 * self.filters * places // 350)

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: Xavier-uniform weights, scales and variances 1, shifts, biases and means 0."""
        parts: list[Tensor] = []
        for name, shape in self.parameter_shapes.items():
            if len(shape) > 1:
                parts.append(xavier(shape, generator).flatten())
            else:
                parts.append(torch.full(shape, float(name.endswith(("scale", "variance"))), dtype=torch.float64))
        return torch.cat(parts).float()

    def networks(self, theta_M: Tensor) -> "Networks":
        """The networks of M tasks, normalised by the kept statistics. theta_M: [M, P]."""
        return Networks(self, unflatten(self.parameter_shapes, theta_M), None)

    def learning(self, theta_M: Tensor) -> "Networks":
        """The networks of M tasks, normalised by the statistics of what they are applied to, each of them once."""
        return Networks(self, unflatten(self.parameter_shapes, theta_M), {})

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Point]:
        """What the statistics network pools of images [M, N, C, H, W]: numbers [M, N, hidden_size] of each."""
        networks = self.networks(theta_M)
        return lambda images: Point(networks.pooled(networks.encoded(images)))

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """`at` around theta_M [M, P], at images [M, N, C, H, W]."""
        return derivatives.derivatives(self.at, theta_M, inputs)


@dataclass(frozen=True)
class Networks:
    """The networks of M tasks, on images [M, N, C, H, W] and on sets of them."""

    model: Statistician
    parameters: dict[str, Tensor]  # [M, ...]
    seen: dict[str, Tensor] | None  # filled with the statistics that each layer met; None: the kept ones normalise

    def encoded(self, images: Tensor) -> Tensor:
        """The encoder: F numbers of each image [M, N, F]."""
        num_tasks = len(images)
        x = images.transpose(0, 1)  # [N, M, C, H, W]
        for block in range(self.model.blocks):
            for layer in range(DEPTH):
                x = self._convolved(f"encoder{block}.{layer}", x, stride=2 if layer == DEPTH - 1 else 1)
        return x.transpose(0, 1).reshape(num_tasks, len(x), -1)

    def pooled(self, encoded: Tensor) -> Tensor:
        """The numbers [M, N, hidden_size] of each image whose mean over a set the statistics network goes on from."""
        return self._connected("statistics.0", image=encoded)

    def context(self, means: Tensor, sizes: Tensor) -> Gaussian:
        """q(c|D) [M, D, C] of sets D with these means [M, D, hidden_size] of `pooled`, over sizes [M, D] images.

        The network sees 1 / size: by it the mean's variance falls.
        """
        return self._gaussian("statistics", means, size=1 / sizes[..., None])

    def posterior(self, encoded: Tensor, c: Tensor) -> Gaussian:
        """q(z|c, x) [M, N, Z]. encoded: [M, N, F]. c: [M, N, C], of each image's set."""
        return self._gaussian("inference", self._connected("inference.0", image=encoded, context=c))

    def prior(self, c: Tensor) -> Gaussian:
        """p(z|c) [M, D, Z]. c: [M, D, C]."""
        return self._gaussian("prior", self._connected("prior.0", context=c))

    def decoded(self, c: Tensor, z: Tensor) -> Tensor:
        """Logits [M, N, C, H, W] of the pixels of p(x|z, c), which are Bernoulli's. c: [M, N, C]. z: [M, N, Z]."""
        x = self._connected("decoder.0", context=c, latent=z) @ self.parameters["decoder.1.weight"]
        maps = x.transpose(0, 1).unflatten(2, self.model.last_maps)  # [N, M, maps, height, width]
        maps = self._normalised("decoder.1", maps)
        for block in reversed(range(self.model.blocks)):
            for layer in range(DEPTH - 1):
                maps = self._convolved(f"decoder{block}.{layer}", maps)
            maps = self._doubled(f"decoder{block}.{DEPTH - 1}", maps, self.model.sides[block])
        weight, bias = (self.parameters[f"decoder.output.{name}"] for name in ("weight", "bias"))
        logits = _grouped(maps, weight, stride=1, padding=0) + bias[..., None, None]
        return logits.transpose(0, 1)

    def met(self) -> Tensor:
        """The statistics [M, S] that the layers normalised by, in the order of `Statistician.statistics`."""
        assert self.seen is not None, "the kept statistics normalised"
        return torch.cat([self.seen[name] for name in self.model.statistics], dim=1)

    def _gaussian(self, network: str, x: Tensor, **beside: Tensor) -> Gaussian:
        """The later hidden layers of a network, and the means and logarithms of variances that it gives.

        beside: what the second of its hidden layers sees beside x.
        """
        x = self._connected(f"{network}.1", weight=x, **beside)
        for layer in range(2, DEPTH):
            x = self._connected(f"{network}.{layer}", weight=x)
        weight, bias = (self.parameters[f"{network}.output.{name}"] for name in ("weight", "bias"))
        mean, log_variance = (x @ weight + bias[:, None]).chunk(2, dim=2)
        return Gaussian(mean, 0.5 * log_variance)

    def _connected(self, layer: str, **inputs: Tensor) -> Tensor:
        """A fully connected layer [M, N, out]. inputs: [M, N, in] by the name of their weights."""
        x = torch.stack([each @ self.parameters[f"{layer}.{name}"] for name, each in inputs.items()]).sum(dim=0)
        return self._normalised(layer, x.transpose(0, 1)).transpose(0, 1)

    def _convolved(self, layer: str, x: Tensor, stride: int = 1) -> Tensor:
        """A 3 x 3 convolution of maps [N, M, in, H, W]."""
        return self._normalised(layer, _grouped(x, self.parameters[f"{layer}.weight"], stride, padding=1))

    def _doubled(self, layer: str, x: Tensor, side: tuple[int, int]) -> Tensor:
        """A transposed convolution that doubles maps [N, M, in, H, W], cut to height and width `side`."""
        weight = self.parameters[f"{layer}.weight"]  # [M, in, out, 2, 2]
        maps = conv_transpose2d(x.flatten(1, 2), weight.flatten(0, 1), stride=2, groups=len(weight))
        return self._normalised(layer, maps.unflatten(1, (len(weight), -1))[..., : side[0], : side[1]])

    def _normalised(self, layer: str, x: Tensor) -> Tensor:
        """Batch normalisation and ELU of numbers or maps [N, M, F, ...]."""
        if self.seen is None:
            mean, variance = (self.parameters[f"{layer}.{name}"] for name in ("mean", "variance"))
        else:
            variance, mean = torch.var_mean(x, dim=(0, *range(3, x.dim())), correction=0)  # [M, F]
            count = x.numel() // mean.numel()
            self.seen[f"{layer}.mean"] = mean.detach()
            self.seen[f"{layer}.variance"] = variance.detach() * count / max(1, count - 1)  # unbiased, as PyTorch's
        scale, shift = (self.parameters[f"{layer}.{name}"] for name in ("scale", "shift"))
        factor = scale * (variance + EPSILON).rsqrt()
        shape = (*mean.shape, *[1] * (x.dim() - 3))
        return elu(x * factor.view(shape) + (shift - mean * factor).view(shape))


def _grouped(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The convolution of each task's maps x [N, M, in, H, W] by its own filters [M, out, in, h, w]."""
    maps = conv2d(x.flatten(1, 2), weight.flatten(0, 1), stride=stride, padding=padding, groups=len(weight))
    return maps.unflatten(1, (len(weight), -1))
