"""The contract of a data set: a distribution of tasks, and examples of each."""

from typing import Literal, Protocol

from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.supervised.examples import Examples

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")  # no task of one shares a class of pictures with one of another


class DataSet(Protocol):
    """Tasks of one kind, with the sizes that a model for them needs."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example: (1,) for a number, (C, H, W) for a picture."""
        ...

    @property
    def output_size(self) -> int:
        """A: the numbers that are to be predicted, or the classes of a task."""
        ...

    @property
    def classifies(self) -> bool:
        """Whether targets are classes, one-hot rows; if not, they are numbers."""
        ...

    def check(self, split: Split, shots: int, queries: int, of_ways: str = "--ways", of_shots: str = "--shots") -> None:
        """Raise UsageError if a split has too few classes or examples for such tasks.

        of_ways, of_shots: the options that the user gave them by.
        """
        ...

    def sample_tasks(self, split: Split, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        """Draw tasks [num_tasks, ...], float64 on the CPU. Task i depends on the generator's row i only."""
        ...

    def examples(self, tasks: Tensor, shots: int, queries: int, generator: KeyedGenerator) -> tuple[Examples, Examples]:
        """Draw a support and a query set of each task, float32 on the CPU, with no example in both.

        shots, queries: examples of each set; of a classification, of each class. They stand class by class.
        """
        ...

    def describe(self, task: Tensor) -> str:
        """One task in a few words."""
        ...
