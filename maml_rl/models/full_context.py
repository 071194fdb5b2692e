"""Full-context embeddings: LSTMs that see the whole support set (Vinyals et al. 2016, appendix A)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.distributions import Point
from maml_rl.models.embedding import ConvEmbedding
from maml_rl.models.parameters import draw_weights, num_parameters, unflatten, xavier

LSTMS = ("forward", "backward", "attention")


@dataclass(frozen=True)
class FullContext:
    """A ConvEmbedding, and three LSTMs behind it: two that read the support set, and one that reads it for a query."""

    embedding: ConvEmbedding
    steps: int = 5  # of the LSTM with attention
    normalised_by = "training"

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, in the order in which theta concatenates them."""
        return self.embedding.parameter_shapes | self.lstm_shapes

    @property
    def lstm_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the LSTMs alone. Gates are in the order input, forget, candidate, output."""
        size = self.embedding.size
        shapes: dict[str, tuple[int, ...]] = {}
        for name in LSTMS:
            memory = 2 * size if name == "attention" else size  # its last output, and what it read of the support set
            shapes |= {f"{name}.input": (size, 4 * size), f"{name}.memory": (memory, 4 * size)}
            shapes[f"{name}.bias"] = (4 * size,)
        return shapes

    @property
    def statistics(self) -> list[str]:
        """The parameters that are moving averages."""
        return self.embedding.statistics

    @property
    def layers(self) -> list[list[str]]:
        """The names of each layer's parameters, from the image to the embedding."""
        lstms = [[f"{name}.{part}" for name in LSTMS for part in ("input", "memory", "bias")]]
        return [*self.embedding.layers, *lstms]

    @property
    def num_parameters(self) -> int:
        """P."""
        return num_parameters(self.parameter_shapes)

    @property
    def rows_per_input(self) -> int:
        """As of the embedding."""
        return self.embedding.rows_per_input

    def initial_parameters(self, generator: KeyedGenerator) -> Tensor:
        """theta [P], float32: the embedding's, Xavier-uniform weights, zero biases."""
        lstms = draw_weights(self.lstm_shapes, lambda name, shape: xavier(shape, generator))
        return torch.cat([self.embedding.initial_parameters(generator), lstms])

    def at(self, theta_M: Tensor) -> Callable[[Tensor], Point]:
        """Each task's own embeddings [M, N, D] of images [M, N, C, H, W], without context. theta_M: [M, P]."""
        return self.embedding.at(self._of_embedding(theta_M))

    def learning(self, theta_M: Tensor) -> Callable[[Tensor], tuple[Point, Tensor]]:
        """As `at`, by the statistics of the images themselves; and these statistics [M, S]."""
        return self.embedding.learning(self._of_embedding(theta_M))

    def in_context(self, theta_M: Tensor, known: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of a support set [M, S, D], and of queries [M, Q, D], in the context of the support set.

        g(x_i) = h_i forward + h_i backward + g'(x_i) (eq. 7 of the paper's appendix; the order is that of the set), and
        f(x) after K steps of h_k = LSTM(f'(x), [h_(k-1), r_(k-1)]) + f'(x), with r the set by attention softmax(h . g)
        (eq. 3 to 6).
        """
        weights = unflatten(self.lstm_shapes, theta_M[:, self.embedding.num_parameters :])
        read = [self._read(weights, "forward", known), self._read(weights, "backward", known.flip(1)).flip(1)]
        g = known + read[0] + read[1]
        h, c, r = asked, torch.zeros_like(asked), g.mean(dim=1, keepdim=True).expand_as(asked)
        for _ in range(self.steps):
            h, c = self._step(weights, "attention", asked, torch.cat([h, r], dim=2), c)
            h = h + asked
            r = (h @ g.transpose(1, 2)).softmax(dim=2) @ g
        return g, h

    def _read(self, weights: dict[str, Tensor], name: str, sequence: Tensor) -> Tensor:
        """The outputs [M, S, D] of an LSTM along a sequence [M, S, D]."""
        h = c = torch.zeros_like(sequence[:, :1])
        outputs: list[Tensor] = []
        for x in sequence.split(1, dim=1):
            h, c = self._step(weights, name, x, h, c)
            outputs.append(h)
        return torch.cat(outputs, dim=1)

    @staticmethod
    def _step(weights: dict[str, Tensor], name: str, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """A step of an LSTM on inputs [M, N, D] (Hochreiter & Schmidhuber 1997, with a forget gate)."""
        gates = x @ weights[f"{name}.input"] + h @ weights[f"{name}.memory"] + weights[f"{name}.bias"][:, None]
        i, f, candidate, o = gates.chunk(4, dim=2)
        c = f.sigmoid() * c + i.sigmoid() * candidate.tanh()
        return o.sigmoid() * c.tanh(), c

    def _of_embedding(self, theta_M: Tensor) -> Tensor:
        return theta_M[:, : self.embedding.num_parameters]

    def derivatives(self, theta_M: Tensor, inputs: Tensor) -> Derivatives:
        """The embeddings without context around theta_M [M, P], at images [M, N, C, H, W]."""
        return self.embedding.derivatives(self._of_embedding(theta_M), inputs)
