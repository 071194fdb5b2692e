"""Threads that take turns in Python, and give theirs away while compiled code computes."""

import contextlib
import threading
from collections.abc import Iterator

_turn = threading.Lock()


class _Held(threading.local):
    value = False


_held = _Held()


@contextlib.contextmanager
def python_turn() -> Iterator[None]:
    """Keep the other threads inside such a block waiting.

    Two threads of short PyTorch operations hand the interpreter's lock to and fro at every operation, and wait for the
    operating system each time. Here a thread has its turn for all operations between two calls of the physics.
    """
    with _turn:
        _held.value = True
        try:
            yield
        finally:
            _held.value = False


@contextlib.contextmanager
def turn_given_away() -> Iterator[None]:
    """Let the next thread have its turn meanwhile. For blocks that compute without the interpreter's lock."""
    if not _held.value:
        yield
        return
    _turn.release()
    try:
        yield
    finally:
        _turn.acquire()
