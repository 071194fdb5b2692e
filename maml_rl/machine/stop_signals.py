"""SIGINT, SIGTERM and SIGHUP as an exception that is raised only at moments when nothing is half-done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]  # of Windows two

_open: "StopSignals | None" = None  # the one whose `interruptible` block the main thread is in


class Interrupted(BaseException):
    """A signal asked the process to stop. Like KeyboardInterrupt no Exception: nobody takes it for a failure."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_status = 128 + signum


class StopSignals:
    """Context manager: SIGINT, SIGTERM and SIGHUP raise Interrupted, but only in an `interruptible` block.

    A signal outside of a block waits for the next block. A signal that was ignored before stays ignored.
    """

    def __init__(self) -> None:
        self._pending: int | None = None
        self._previous: dict[int, signal.Handlers] = {}

    def __enter__(self) -> "StopSignals":
        for signum in STOPPING:
            if signal.getsignal(signum) == signal.SIG_IGN:  # nohup
                continue
            self._previous[signum] = signal.signal(signum, self._handle)  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raises Interrupted, at once or at any moment inside, when a signal has come.

        At any moment may be within a destructor or a weak reference's callback, where Python drops the exception. The
        signal is then raised again by the next `check`, or at the end of the block.
        """
        global _open
        try:
            _open = self
            check()
            yield
            check()
        except Interrupted:
            self._pending = None
            raise
        finally:
            _open = None

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self._pending = signum
        if _open is self:
            raise Interrupted(signum)


def check() -> None:
    """Raise Interrupted if a signal has come in an `interruptible` block, and has not ended it yet. For any thread."""
    if _open is None or threading.current_thread() is not threading.main_thread():
        return
    if (signum := _open._pending) is not None:
        raise Interrupted(signum)
