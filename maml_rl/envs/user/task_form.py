"""The form of a user's tasks: how one becomes a row of numbers, and a row a task again."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

Parts = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class TaskForm:
    """A number, an array of numbers, or a dict of these."""

    shape: tuple[int, ...]  # of an array; () for a number
    parts: Parts = ()  # names and shapes of a dict's; () if a task is none

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Of the row that stands for a task."""
        if self.parts:
            return (sum(prod(shape) for _, shape in self.parts),)
        return self.shape or (1,)

    def task(self, row: np.ndarray) -> Any:
        """The task of a row (float64): a float, an array, or a dict of these."""
        if not self.parts:
            return row if self.shape else float(row.item())
        ends = np.cumsum([prod(shape) for _, shape in self.parts])[:-1]
        values = np.split(row, ends)
        return {
            name: value.reshape(shape) if shape else float(value.item())
            for (name, shape), value in zip(self.parts, values, strict=True)
        }


def as_row(task: Any) -> tuple[np.ndarray, TaskForm]:
    """The row of a task (float64), and the task's form. Raises TypeError or ValueError for something else."""
    if not isinstance(task, Mapping):
        row = np.asarray(task, dtype=np.float64)
        return row.reshape(row.shape or (1,)), TaskForm(row.shape)
    parts = {str(name): np.asarray(value, dtype=np.float64) for name, value in task.items()}
    form = TaskForm((), tuple((name, value.shape) for name, value in parts.items()))
    return np.concatenate([value.reshape(-1) for value in parts.values()]), form
