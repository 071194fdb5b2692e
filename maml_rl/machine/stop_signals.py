"""SIGINT, SIGTERM and SIGHUP as an exception that is raised only at moments when nothing is half-done."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupted(Exception):
    """A signal asked the process to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_status = 128 + signum


class StopSignals:
    """Context manager: SIGINT, SIGTERM and SIGHUP raise Interrupted, but only in an `interruptible` block.

    A signal outside of a block waits for the next block. A signal that was ignored before stays ignored.
    """

    def __init__(self) -> None:
        self._pending: int | None = None
        self._interruptible = False
        self._previous: dict[int, signal.Handlers] = {}

    def __enter__(self) -> "StopSignals":
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) == signal.SIG_IGN:  # nohup
                continue
            self._previous[signum] = signal.signal(signum, self._handle)  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raises Interrupted, at once or at any moment inside, when a signal has come."""
        self._interruptible = True
        try:
            self._raise_pending()
            yield
        finally:
            self._interruptible = False

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self._pending = signum
        if self._interruptible:
            self._raise_pending()

    def _raise_pending(self) -> None:
        if self._pending is not None:
            signum, self._pending = self._pending, None
            raise Interrupted(signum)
