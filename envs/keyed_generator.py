"""Random draws that depend on a key, never on a global state or on who else draws."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

CHILD = 2**32 - 1  # the last part of a child's key; nobody else's key ends with it


class KeyedGenerator:
    """A source of random tensors with a leading task axis, one independent stream per task.

    Row `i` of what it draws depends on `(*key, first_task + i)` and on the draws made before, and on nothing else:
    not on the number of tasks drawn together, nor on how they are divided among processes.

    The streams are Philox counters behind numpy's SeedSequence, whose 128-bit seeds do not collide
    (`torch.Generator` on the CPU keeps only 32 bits of its seed).
    """

    def __init__(self, *key: int, first_task: int = 0) -> None:
        """key: non-negative integers, such as (seed, iteration, phase). Raises ValueError for a negative one."""
        if any(part < 0 for part in key):
            raise ValueError(f"a generator's key must hold non-negative integers, got {key}")
        self._key = key
        self._first_task = first_task
        self._streams: list[np.random.Generator] = []

    def from_task(self, task: int) -> "KeyedGenerator":
        """A generator, at its first draw, whose row 0 is this one's row `task`."""
        return KeyedGenerator(*self._key, first_task=self._first_task + task)

    def child(self) -> "KeyedGenerator":
        """Streams of their own under the same key, for who draws later on."""
        return KeyedGenerator(*self._key, CHILD, first_task=self._first_task)

    def normal(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Standard normal draws. shape: (num_tasks, ...). dtype: float64 or float32."""
        return self._draw(shape, dtype, lambda stream, size, kind: stream.standard_normal(size, kind))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
        """Uniform draws from [low, high). shape: (num_tasks, ...). dtype: float64 or float32."""
        unit = self._draw(shape, dtype, lambda stream, size, kind: stream.random(size, kind))
        return low + (high - low) * unit

    def streams(self, num_tasks: int) -> list[np.random.Generator]:
        """numpy's generators behind the first `num_tasks` rows, for draws that are no tensors."""
        for task in range(self._first_task + len(self._streams), self._first_task + num_tasks):
            self._streams.append(np.random.Generator(np.random.Philox(np.random.SeedSequence((*self._key, task)))))
        return self._streams[:num_tasks]

    def _draw(self, shape: tuple[int, ...], dtype: torch.dtype, draw: Callable[..., np.ndarray]) -> Tensor:
        kind = {torch.float32: np.float32, torch.float64: np.float64}[dtype]
        num_tasks, size = shape[0], shape[1:]
        rows = np.empty(shape, kind)
        for row, stream in zip(rows, self.streams(num_tasks), strict=True):
            row[...] = draw(stream, size, kind)
        return torch.from_numpy(rows)
