"""Threads: how the CPU's cores are shared between PyTorch, the physics and the tasks."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


_num_workers: int | None = None  # None: as many as PyTorch's own setting has


def num_cpus() -> int:
    """The number of CPUs that this process may use, which a cluster's scheduler may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(num_threads: int) -> None:
    """Give `parallel_map` that many threads, 0 for one per CPU, and each of PyTorch's operations one.

    Results then do not depend on the number of threads, to the last bit.
    """
    global _num_workers
    _num_workers = num_threads or num_cpus()
    torch.set_num_threads(1)


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run each of PyTorch's operations on the thread that calls it, and no other."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], cancel: Callable[[], None] = lambda: None
) -> list[Result]:
    """[function(item) for item in items], on several threads (`use_threads`).

    cancel: called if an item raises or an interrupt comes, before waiting for the threads that still work.

    PyTorch releases the interpreter's lock, so that each thread works through items of its own. No thread then waits
    for another within an operation, which matters if other programs want the cores too: on 2 cores with two of them
    busy, an iteration of 4 navigation tasks took 1.5 s, against 8.1 s with each operation shared by two threads.
    """
    items = list(items)
    num_workers = min(len(items), _num_workers or torch.get_num_threads())
    if num_workers == 1:
        return [function(item) for item in items]
    # Each thread has to be told: a new one's OpenMP, and with it MKL, begins with as many threads as there are CPUs.
    with one_torch_thread(), ThreadPoolExecutor(num_workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException:
            cancel()
            raise
