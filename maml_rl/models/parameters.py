"""Parameter vectors: theta concatenates a model's parameters in the order of its `parameter_shapes`."""

from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator

Shapes = Mapping[str, tuple[int, ...]]


def num_parameters(shapes: Shapes) -> int:
    """P."""
    return sum(prod(shape) for shape in shapes.values())


def unflatten(shapes: Shapes, theta_M: Tensor) -> dict[str, Tensor]:
    """Views [M, *shape] of the parameters in theta_M [M, P]."""
    flat = theta_M.split([prod(shape) for shape in shapes.values()], dim=1)
    return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), flat, strict=True)}


def draw_parameters(
    shapes: Shapes, bound: Callable[[str], float], generator: KeyedGenerator, init_log_std: float
) -> Tensor:
    """theta [P], float32: matrices uniform within +- bound(name), `log_std` as given, all else zero."""
    parts: list[Tensor] = []
    for name, shape in shapes.items():
        if len(shape) == 2:
            parts.append(generator.uniform(1, prod(shape), low=-bound(name), high=bound(name))[0])
        else:
            parts.append(torch.full((prod(shape),), init_log_std if name == "log_std" else 0.0))
    return torch.cat(parts).float()


def xavier_bound(size_in: int, size_out: int) -> float:
    """Of the uniform draws of a weight matrix (Glorot & Bengio 2010, eq. 16)."""
    return (6 / (size_in + size_out)) ** 0.5


def draw_weights(shapes: Shapes, draw: Callable[[str, tuple[int, ...]], Tensor]) -> Tensor:
    """theta [P], float32: what has two dimensions or more as drawn for its name and shape, all else zero."""
    parts = [draw(name, shape) if len(shape) >= 2 else torch.zeros(shape) for name, shape in shapes.items()]
    return torch.cat([part.flatten() for part in parts]).float()


def xavier(shape: tuple[int, ...], generator: KeyedGenerator) -> Tensor:
    """Xavier-uniform weights [*shape], float64: of a matrix [in, out], or of a convolution [out, in, height, width]."""
    if len(shape) == 2:
        size_in, size_out = shape
    else:
        maps_out, maps_in, *window = shape
        size_in, size_out = maps_in * prod(window), maps_out * prod(window)
    bound = xavier_bound(size_in, size_out)
    return generator.uniform(1, *shape, low=-bound, high=bound)[0]


def truncated_normal(shape: tuple[int, ...], std: float, generator: KeyedGenerator) -> Tensor:
    """Normal draws [*shape] of mean 0, float64, none of them beyond 2 std, as TensorFlow's `truncated_normal`.

    Their own standard deviation is 0.88 std.
    """
    low, high = torch.special.ndtr(torch.tensor([-2.0, 2.0], dtype=torch.float64)).tolist()
    return std * torch.special.ndtri(generator.uniform(1, *shape, low=low, high=high)[0])
