"""N-way K-shot episodes of a collection of pictures (Vinyals et al. 2016)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.data_set import Split
from maml_rl.supervised.examples import Examples


class Pictures(Protocol):
    """Pictures of many classes, which have numbers from 0."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        ...

    def count(self, of: int) -> int:
        """The number of a class's pictures."""
        ...

    def read(self, of: int, chosen: np.ndarray) -> np.ndarray:
        """Pictures [n, C, H, W], values from 0 to 1, of a class. chosen: [n], numbers from 0 to count - 1."""
        ...

    def name(self, of: int) -> str:
        """A class in a few words."""
        ...


@dataclass(frozen=True)
class FewShot:
    """Tasks are `ways` distinct classes of a split, in the order of their labels 0, 1, ...

    A split has rows of classes [rows, variants]. A task has distinct rows of it, and of each a variant at random.
    """

    pictures: Pictures
    splits: Mapping[Split, np.ndarray]
    ways: int = 5

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.pictures.shape

    @property
    def output_size(self) -> int:
        return self.ways

    classifies = True

    def check(self, split: Split, shots: int, queries: int, of_ways: str = "--ways", of_shots: str = "--shots") -> None:
        """Raise UsageError if the split has too few classes, or a class of it too few pictures."""
        classes = self.splits[split]
        if not 2 <= self.ways <= len(classes):
            raise UsageError(f"{of_ways}: got {self.ways}, allowed: 2 to {len(classes)}, the number of {split} classes")
        fewest = min(classes.flat, key=self.pictures.count)
        if shots + queries > (count := self.pictures.count(fewest)):
            got = f"{shots} + {queries} = {shots + queries}"
            allowed = f"{count} in all, the pictures of {self.pictures.name(fewest)}"
            raise UsageError(f"{of_shots} + --queries: got {got}, allowed: up to {allowed}")

    def sample_tasks(self, split: Split, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        """Tasks [num_tasks, ways]: numbers of classes."""
        classes = self.splits[split]
        tasks = np.empty((num_tasks, self.ways))
        for task, stream in zip(tasks, generator.streams(num_tasks), strict=True):
            rows = stream.choice(len(classes), self.ways, replace=False)
            task[:] = classes[rows, stream.integers(classes.shape[1], size=self.ways)]
        return torch.from_numpy(tasks)

    def examples(self, tasks: Tensor, shots: int, queries: int, generator: KeyedGenerator) -> tuple[Examples, Examples]:
        each = shots + queries
        inputs = np.empty((*tasks.shape, each, *self.input_shape), np.float32)  # [M, ways, each, C, H, W]
        for of_task, task, stream in zip(inputs, tasks.long().tolist(), generator.streams(len(tasks)), strict=True):
            for of_class, number in zip(of_task, task, strict=True):
                of_class[:] = self.pictures.read(
                    number, stream.choice(self.pictures.count(number), each, replace=False)
                )
        pictures = torch.from_numpy(inputs)
        one_hot = torch.eye(self.ways)[:, None].expand(len(tasks), self.ways, each, self.ways)
        support, query = (
            Examples.of(pictures[:, :, part].flatten(1, 2), one_hot[:, :, part].flatten(1, 2))
            for part in (slice(shots), slice(shots, None))
        )
        return support, query

    def describe(self, task: Tensor) -> str:
        return ", ".join(map(self.pictures.name, task.long().tolist()))
