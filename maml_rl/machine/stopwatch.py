"""Seconds spent in the parts of an iteration."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator


class Stopwatch:
    """Adds up wall-clock seconds per part, from its making on."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        """announce: told the name of each part as it begins."""
        self._announce = announce
        self._start = time.perf_counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        self._announce(part)
        start = time.perf_counter()
        yield
        self._seconds[part] += time.perf_counter() - start

    def metrics(self) -> dict[str, float]:
        """`time/<part>` of each part, and `time/iteration` since the making."""
        seconds = {f"time/{part}": spent for part, spent in self._seconds.items()}
        return seconds | {"time/iteration": time.perf_counter() - self._start}
