"""Recurrent policies: a gated recurrent unit (Cho et al. 2014) remembers earlier steps."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.models import derivatives
from maml_rl.models.action_head import ActionHead
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Distribution, with_parts
from maml_rl.models.normalization import Normalization
from maml_rl.models.parameters import draw_parameters, num_parameters, unflatten, xavier_bound

# Observations [M, E, T, O] and the memories before them [M, E, W] -> distributions at all steps, with parameters
# [M, E * T, A], and the memories after the last step [M, E, W].
Unroll = Callable[[Tensor, Tensor], tuple[Distribution, Tensor]]

GRU = ["gru.weight_input", "gru.weight_memory", "gru.bias_input", "gru.bias_memory"]  # in the order of `torch.gru`


@dataclass(frozen=True)
class GruPolicy:
    """Feed-forward layers, a GRU and a linear layer give the mean of a Gaussian, or the logits of categoricals.

    The last of the hidden sizes is W, the GRU's; the layers before it are feed-forward. The rest is as of
    `maml_rl.models.policies.MlpPolicy`. A memory [W] begins as zeros.
    """

    observation_size: int
    action_size: int
    hidden_sizes: tuple[int, ...] = (64,)
    nonlinearity: Literal["relu", "tanh"] = "tanh"  # of the layers before the GRU
    init_log_std: float = 0.0
    min_log_std: float = log(1e-6)
    output_scale: float = 1.0  # of the output layer's initial weights
    choices: tuple[int, ...] = ()  # of each component of a discrete action, `action_size` in all; () for a Gaussian
    normalization: Normalization | None = None  # of the observations that the network sees; None if as they are

    def __post_init__(self) -> None:
        assert self.hidden_sizes, "a recurrent policy has a hidden layer"
        assert not self.choices or sum(self.choices) == self.action_size, (self.choices, self.action_size)

    @property
    def memory_size(self) -> int:
        """W."""
        return self.hidden_sizes[-1]

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them.

        The GRU's are three in a row: those of the reset gate, of the update gate and of the candidate.
        """
        *sizes, W = (self.observation_size, *self.hidden_sizes)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (size_in, size_out) in enumerate(pairwise(sizes)):
            shapes |= {f"layer{layer}.weight": (size_in, size_out), f"layer{layer}.bias": (size_out,)}
        shapes |= dict(zip(GRU, [(3 * W, sizes[-1]), (3 * W, W), (3 * W,), (3 * W,)], strict=True))
        shapes |= {"output.weight": (W, self.action_size), "output.bias": (self.action_size,)}
        return shapes if self.choices else shapes | {"log_std": (self.action_size,)}

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the observations to the output."""
        before = [[f"layer{layer}.weight", f"layer{layer}.bias"] for layer in range(len(self.hidden_sizes) - 1)]
        return [*before, GRU, ["output.weight", "output.bias"]]

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """An input is one row of each layer."""
        return 1

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: Xavier-uniform weights, in the GRU those of each gate, zero biases, `init_log_std`.

        The output layer's weights are `output_scale` times as large.
        """
        shapes = self.parameter_shapes

        def bound(name: str) -> float:
            if name in GRU:
                return xavier_bound(shapes[name][1], self.memory_size)
            return xavier_bound(*shapes[name]) * (self.output_scale if name == "output.weight" else 1.0)

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

    def unrolled_at(self, theta: Tensor) -> Unroll:
        """The policies along steps that follow one another. theta: [P], the same one for all tasks."""
        parameters = {name: part[0] for name, part in self.unflatten(theta[None]).items()}
        before = [(parameters[weight], parameters[bias]) for weight, bias in self.layers[:-2]]
        # In one piece, as cuDNN wants them: it copies them at every call otherwise, and warns.
        shapes = [parameters[name].shape for name in GRU]
        piece = torch.cat([parameters[name].flatten() for name in GRU])
        gru = [part.view(shape) for part, shape in zip(piece.split([s.numel() for s in shapes]), shapes, strict=True)]
        output, bias = parameters["output.weight"], parameters["output.bias"]
        shared = self.shared(theta[None])
        nonlinearity = torch.relu if self.nonlinearity == "relu" else torch.tanh
        normalized = self.normalization and self.normalization.like(theta)

        def unroll(inputs: Tensor, memory: Tensor) -> tuple[Distribution, Tensor]:
            x = (normalized(inputs) if normalized else inputs).flatten(0, 1)  # [M E, T, O]
            for weight, offset in before:
                x = nonlinearity(x @ weight + offset)
            # One layer with biases, no dropout, in one direction, the batch first; cuDNN has a gradient in "training".
            first = memory.flatten(0, 1)[None].contiguous()  # as cuDNN demands
            states, last = torch.gru(x, first, gru, True, 1, 0.0, True, False, True)
            of_steps = (states @ output + bias).unflatten(0, memory.shape[:2]).flatten(1, 2)  # [M, E T, A]
            return self.over_actions(of_steps, *shared), last[0].unflatten(0, memory.shape[:2])

        return unroll

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Distribution]:
        """pi(.|s) of each task's own policy without a memory, of observations [M, N, O], each a first one.

        theta_M: [M, P]. A loop over M: the GRU takes one set of parameters.
        """
        unrolls = [self.unrolled_at(theta) for theta in theta_M]

        def distribution(observations: Tensor) -> Distribution:
            nothing = observations.new_zeros(1, observations.shape[1], self.memory_size)
            each = [unroll(x[None, :, None], nothing)[0] for unroll, x in zip(unrolls, observations, strict=True)]
            return with_parts(each[0], [torch.cat(parts) for parts in zip(*each, strict=True)])

        return distribution

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The policies without a memory around theta_M [M, P], at observations [M, N, O]."""
        return derivatives.derivatives(self.at, theta_M, inputs)
