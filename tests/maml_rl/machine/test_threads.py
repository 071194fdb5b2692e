import threading

import pytest
import torch

from maml_rl.machine import threads as parallel
from maml_rl.machine.threads import parallel_map


def test_results_are_in_order_and_operations_single_threaded(monkeypatch) -> None:
    monkeypatch.setattr(parallel, "_num_workers", 2)
    barrier = threading.Barrier(2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:

        def work(item: int) -> tuple[int, int]:
            if item < 2:
                barrier.wait(timeout=10)  # both threads are at work at once
            return 10 * item, torch.get_num_threads()

        assert parallel_map(work, range(5)) == [(10 * item, 1) for item in range(5)]
        assert torch.get_num_threads() == 2
        assert parallel_map(lambda _: threading.current_thread(), range(1)) == [threading.main_thread()]
    finally:
        torch.set_num_threads(before)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def fail(item: int) -> None:
        raise KeyError(item)

    with pytest.raises(KeyError, match="0"):
        parallel_map(fail, range(3))
