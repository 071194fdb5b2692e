"""The examples of a support set that each inner step sees (Nichol et al. 2018)."""

import numpy as np
import torch
from torch import Tensor

from maml_rl.machine.keys import Draws


def minibatch(draws: Draws, num_tasks: int, num_examples: int, size: int, k: int) -> Tensor:
    """The numbers [M, B] of each task's examples in minibatch k = 0, 1, ... of `size` B.

    As in the authors' code a task's examples are shuffled, taken slice by slice, and shuffled anew at their end, over
    which a slice may reach. The shuffle of epoch e is drawn in phase 1 + e.
    """
    first, stop = k * size, (k + 1) * size
    epochs = range(first // num_examples, (stop - 1) // num_examples + 1)
    orders = [_shuffled(draws, num_tasks, num_examples, epoch) for epoch in epochs]
    start = first - epochs.start * num_examples
    return torch.from_numpy(np.concatenate(orders, axis=1))[:, start : start + size]


def _shuffled(draws: Draws, num_tasks: int, num_examples: int, epoch: int) -> np.ndarray:
    """[M, N]."""
    return np.stack([stream.permutation(num_examples) for stream in draws.phase(1 + epoch).streams(num_tasks)])
