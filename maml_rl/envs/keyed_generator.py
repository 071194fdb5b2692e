"""Random draws that depend on a key, never on a global state or on other draws."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

MAX_PART = 2**32 - 1  # SeedSequence takes a larger number for two


class KeyedGenerator:
    """A source of random tensors with a leading task axis, one independent stream per task.

    Row `i` of a draw depends on `(*key, generation, first_task + i)` and on the draws made before, and on
    nothing else: not on the number of tasks drawn together, nor on how they are divided among processes. The generation
    is 0, and that of `child` one more.

    The streams are Philox counters behind numpy's SeedSequence, whose 128-bit seeds do not collide
    (`torch.Generator` on the CPU keeps only 32 bits of its seed).
    """

    def __init__(self, *key: int, first_task: int = 0, generation: int = 0) -> None:
        """key: integers of 32 bits, of one length for all that must not meet (`machine.keys`). Raises ValueError."""
        if not all(0 <= part <= MAX_PART for part in key):
            raise ValueError(f"a generator's key must hold integers from 0 to {MAX_PART}, got {key}")
        self._key, self._generation = key, generation
        self._first_task = first_task
        self._streams: list[np.random.Generator] = []

    def from_task(self, task: int) -> "KeyedGenerator":
        """A generator, at its first draw, whose row 0 is this one's row `task`."""
        return KeyedGenerator(*self._key, first_task=self._first_task + task, generation=self._generation)

    def child(self) -> "KeyedGenerator":
        """Streams of their own under the same key, for draws at times that depend on the simulation."""
        return KeyedGenerator(*self._key, first_task=self._first_task, generation=self._generation + 1)

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
            seeds = np.random.SeedSequence((*self._key, self._generation, task))
            self._streams.append(np.random.Generator(np.random.Philox(seeds)))
        return self._streams[:num_tasks]

    def _draw(self, shape: tuple[int, ...], dtype: torch.dtype, draw: Callable[..., np.ndarray]) -> Tensor:
        kind = {torch.float32: np.float32, torch.float64: np.float64}[dtype]
        num_tasks, size = shape[0], shape[1:]
        rows = np.empty(shape, kind)
        for row, stream in zip(rows, self.streams(num_tasks), strict=True):
            row[...] = draw(stream, size, kind)
        return torch.from_numpy(rows)
