"""Examples of many tasks, as the losses of supervised learning take them."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """N examples of each of M tasks: a `maml_rl.meta.problem.Batch`. Weighted by `weights`, a sum over n is a mean."""

    inputs: Tensor  # [M, N, ...]: numbers [1], or pictures [C, H, W] with values from 0 to 1
    targets: Tensor  # [M, N, A]: the numbers to be predicted, or one-hot rows over A classes
    weights: Tensor  # [M, N]: 1 / N

    @staticmethod
    def of(inputs: Tensor, targets: Tensor) -> "Examples":
        """All examples of a task count alike."""
        num_examples = targets.shape[1]
        return Examples(inputs, targets, targets.new_full(targets.shape[:2], 1 / num_examples))

    def rows(self, chunk: slice) -> "Examples":
        """The examples of some of the tasks."""
        return Examples(self.inputs[chunk], self.targets[chunk], self.weights[chunk])

    def every(self, stride: int, first: int = 0) -> "Examples":
        """Examples first, first + stride, ... as a batch in its own right: the weights of a task sum to 1 again.

        first counts modulo the number of examples, so that a stride beyond them still leaves one.
        """
        if stride == 1:
            return self
        chosen = slice(first % self.weights.shape[1], None, stride)
        return Examples.of(self.inputs[:, chosen].contiguous(), self.targets[:, chosen].contiguous())

    def chosen(self, numbers: Tensor) -> "Examples":
        """The examples of each task with these numbers [M, B], as a batch in its own right."""
        tasks = torch.arange(len(numbers), device=numbers.device)[:, None]
        return Examples.of(self.inputs[tasks, numbers], self.targets[tasks, numbers])

    def to(self, device: torch.device, dtype: torch.dtype) -> "Examples":
        """The same on a device, in a floating-point type."""
        return Examples.of(self.inputs.to(device, dtype), self.targets.to(device, dtype))
