"""A signal ends an interruptible block, whatever the main thread is doing as it comes."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from maml_rl.machine import stop_signals, threads
from maml_rl.machine.stop_signals import Interrupted, StopSignals
from maml_rl.machine.threads import parallel_map

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class SignalsAsItGoes:
    """Python drops the exceptions of its destructor."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    with StopSignals() as signals:
        yield signals
    signal.signal(signal.SIGINT, before)


def block(signals: StopSignals, *points: Callable[[], object]) -> None:
    with signals.interruptible():
        del (lost := [SignalsAsItGoes()])[:]
        assert not lost
        for point in points:
            point()


@pytest.mark.parametrize("point", [stop_signals.check, lambda: parallel_map(abs, [1])])
def test_a_signal_that_a_destructor_dropped_is_raised_at_the_next_point(signals, point: Callable[[], object]) -> None:
    reached: list[str] = []
    with pytest.raises(Interrupted, match="SIGINT"):
        block(signals, point, lambda: reached.append("behind it"))
    assert not reached
    with signals.interruptible():
        point()  # one signal ends one block


def test_a_signal_that_a_destructor_dropped_is_raised_as_the_block_ends(signals) -> None:
    reached: list[str] = []
    with pytest.raises(Interrupted):
        block(signals, lambda: reached.append("the end"))
    assert reached == ["the end"]


def test_a_signal_waits_for_a_block(signals) -> None:
    signal.raise_signal(signal.SIGINT)
    stop_signals.check()
    with pytest.raises(Interrupted), signals.interruptible():
        pytest.fail("the block has begun")


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows has none")
def test_items_that_no_thread_has_begun_are_left_out(signals, monkeypatch) -> None:
    """The signal comes while the main thread still hands out the items."""
    monkeypatch.setattr(threads, "_num_workers", 2)
    interval, done = sys.getswitchinterval(), []

    def work(item: int) -> None:
        if item == 20:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]
        if item >= 20:
            time.sleep(0.01)
        done.append(item)

    sys.setswitchinterval(1e-6)
    try:
        with pytest.raises(Interrupted), signals.interruptible():
            parallel_map(work, range(2000))
    finally:
        sys.setswitchinterval(interval)
    assert len(done) < 100
