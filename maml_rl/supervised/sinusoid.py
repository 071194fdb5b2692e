"""Sinusoids: a wave that must be found from a few of its points (Finn et al. 2017, section 5.1)."""

from math import pi

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.supervised.data_set import Split
from maml_rl.supervised.examples import Examples

AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, pi)  # rad
INPUTS = (-5.0, 5.0)  # rad


class Sinusoid:
    """Tasks are an amplitude, uniform in [0.1, 5], and a phase [rad], uniform in [0, pi]: y = A sin(x - phase).

    x is uniform in [-5, 5] rad. All splits have the same tasks: the keys of their draws tell them apart.
    """

    input_shape: tuple[int, ...] = (1,)
    output_size = 1
    classifies = False

    def check(self, split: Split, shots: int, queries: int, of_ways: str = "--ways", of_shots: str = "--shots") -> None:
        """There are points enough."""

    def sample_tasks(self, split: Split, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        low, high = torch.tensor([AMPLITUDES, PHASES], dtype=torch.float64).T
        return low + (high - low) * generator.uniform(num_tasks, 2)

    def examples(self, tasks: Tensor, shots: int, queries: int, generator: KeyedGenerator) -> tuple[Examples, Examples]:
        low, high = INPUTS
        x = generator.uniform(len(tasks), shots + queries, 1, low=low, high=high)  # [M, N, 1]
        y = wave(tasks, x)
        support, query = (
            Examples.of(x[:, part].float(), y[:, part].float()) for part in (slice(shots), slice(shots, None))
        )
        return support, query

    def describe(self, task: Tensor) -> str:
        amplitude, phase = task.tolist()
        return f"{amplitude:.2f} sin(x - {phase:.2f})"


def wave(tasks: Tensor, x: Tensor) -> Tensor:
    """y = A sin(x - phase). tasks: [M, 2]. x, y: [M, N, 1]."""
    amplitude, phase = tasks[:, None, :].split(1, dim=-1)
    return amplitude * (x - phase).sin()
