"""A multi-layer perceptron as a function of theta_M: its parameters and its output. What is on top is the model's."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from maml_rl.models.narrow_products import add_product

Nonlinearity = Literal["relu", "tanh"]


def mlp_shapes(sizes: Sequence[int], context_size: int = 0) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters. sizes: of the input, the hidden layers and the output.

    context_size: parameters that stand beside every input, in front of the others; none if 0.
    """
    size, *others = sizes
    shapes: dict[str, tuple[int, ...]] = {"context": (context_size,)} if context_size else {}
    for layer, (size_in, size_out) in enumerate(pairwise([size + context_size, *others])):
        shapes |= {f"layer{layer}.weight": (size_in, size_out), f"layer{layer}.bias": (size_out,)}
    return shapes


def mlp_layers(num_layers: int) -> list[list[str]]:
    """The names of each layer's parameters, from the input to the output."""
    return [[f"layer{layer}.weight", f"layer{layer}.bias"] for layer in range(num_layers)]


def mlp_output(
    parameters: Mapping[str, Tensor], num_layers: int, nonlinearity: Nonlinearity
) -> Callable[[Tensor], Tensor]:
    """Inputs [M, N, I] -> outputs [M, N, A] of each task's own network. parameters: [M, *shape] by name."""
    layers = [(parameters[weight], parameters[bias][:, None]) for weight, bias in mlp_layers(num_layers)]
    context = parameters["context"][:, None] if "context" in parameters else None  # [M, 1, C]
    function = torch.relu if nonlinearity == "relu" else torch.tanh

    def output(x: Tensor) -> Tensor:
        if context is not None:
            x = torch.cat([x, context.expand(-1, x.shape[1], -1)], dim=-1)
        for weight, bias in layers[:-1]:
            x = function(add_product(bias, x, weight))
        weight, bias = layers[-1]
        return add_product(bias, x, weight)

    return output
