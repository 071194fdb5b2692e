"""Seconds spent in the parts of an iteration."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator


class Stopwatch:
    """Adds up wall-clock seconds per part, from its making on. A part within another counts as itself alone."""

    def __init__(self, announce: Callable[[str], None] = lambda part: None) -> None:
        """announce: told the name of each part as it begins."""
        self._announce = announce
        self._start = self._last = time.perf_counter()
        self._parts: list[str] = []  # the present one, behind the parts around it
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        self._count()
        self._parts.append(part)
        self._announce(part)
        try:
            yield
        finally:
            self._count()
            self._parts.pop()

    def metrics(self) -> dict[str, float]:
        """`time/<part>` of each part, and `time/iteration` since the making."""
        seconds = {f"time/{part}": spent for part, spent in self._seconds.items()}
        return seconds | {"time/iteration": time.perf_counter() - self._start}

    def _count(self) -> None:
        now = time.perf_counter()
        if self._parts:
            self._seconds[self._parts[-1]] += now - self._last
        self._last = now
