"""The worker processes of the Gymnasium bridge."""

import contextlib
import functools
import os
import signal
import sys
import time
import types
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from maml_rl.envs.errors import FamilyError, WorkerError
from maml_rl.envs.user.worker import Bundle, serve

DEAF_TO = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]  # of Windows one
GRACE = 5.0  # s that a worker has to finish its step and close its environments


class WorkerPool:
    """Simulations of a user's class, divided among processes. They end with the pool, which ends with its last user."""

    def __init__(
        self, name: str, num_simulations: int, observation_size: int, action_numbers: int, num_workers: int
    ) -> None:
        """name: "module:Class". action_numbers: A', of the user's action space. Raises WorkerError if none start."""
        self.name = name
        self._shares = np.array_split(np.arange(num_simulations), min(num_workers, num_simulations))
        size = len(self._shares[0])  # the largest; the rows that others have less are padding
        # Row of each simulation among the rows of all workers.
        self._rows = np.concatenate([size * i + np.arange(len(share)) for i, share in enumerate(self._shares)])
        self._actions = np.zeros((len(self._shares), size, action_numbers))
        make = functools.partial(Bundle, name, size, observation_size, action_numbers)
        with _starting():
            try:
                self._vector_env: Any = AsyncVectorEnv(
                    [make] * len(self._shares),
                    context="spawn",
                    copy=False,
                    worker=serve,
                    autoreset_mode=AutoresetMode.DISABLED,
                )
            except (EOFError, OSError) as error:
                raise WorkerError(f"{name}: its worker processes did not start ({error!r})") from error
        self.close = weakref.finalize(self, _end, self._vector_env)

    def check_task(self, task: Any) -> None:
        """Play the first steps of a task in an environment of each worker. Raises what is wrong with them, and
        FamilyError if the task means something else in one worker than in another.

        Nothing is said of the latter if episodes differ also after the same seed.
        """
        with self._watch():
            probes = self._vector_env.call("probe", task)
        for probe in probes:
            self._raise_fault({key: [text] for key, text in probe.items()})
        digests = {probe["digest"] for probe in probes}
        if None not in digests and len(digests) > 1:
            self.close()
            allowed = "a class that draws what its tasks mean from a generator with a seed of its own"
            raise FamilyError(
                f"{self.name}: task {task!r} is another one in each worker process: after the same seed observations "
                f"or rewards differ, allowed: {allowed}"
            )

    def reset(self, episodes: Sequence[tuple[Any, int] | None]) -> np.ndarray:
        """Start an episode, a task and a seed, in each of the N simulations; None for one that goes on.

        Returns the rows of all [N, O + 4], as `Bundle` has them.
        """
        with self._watch():
            self._vector_env.set_attr("episodes", [[episodes[i] for i in share] for share in self._shares])
            rows, info = self._vector_env.reset()
        return self._checked(rows, info)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Step the simulations that have not ended. actions: [N, A']. Returns their rows [N, O + 4]."""
        self._actions.reshape(-1, self._actions.shape[-1])[self._rows] = actions
        with self._watch():
            rows, *_, info = self._vector_env.step(self._actions)
        return self._checked(rows, info)

    def picture(self, seed: int, task: Any | None, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Play on an episode in the first worker, beside the simulations, and draw it, as `Bundle.picture` does.

        Returns its picture [h, w, 3] (uint8) and its observation [O].
        """
        with self._watch():
            drawn = self._vector_env.call("picture", seed, task, actions)[0]
        self._raise_fault({key: [value] for key, value in drawn.items()})
        return drawn["picture"], drawn["observation"]

    def _checked(self, rows: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """A copy of the simulations' rows. Raises FamilyError or WorkerError if a worker says so."""
        self._raise_fault(info)
        return rows.reshape(-1, rows.shape[-1])[self._rows]

    def _raise_fault(self, info: Mapping[str, Any]) -> None:
        for key, kind in (("fault", FamilyError), ("traceback", WorkerError)):
            if key in info:
                self.close()
                raise kind(next(text for text in info[key] if text))

    @contextlib.contextmanager
    def _watch(self) -> Iterator[None]:
        """Raises WorkerError if a worker has died."""
        try:
            yield
        except (EOFError, OSError) as error:
            how = next((how for process in self._vector_env.processes if (how := _how_it_ended(process))), "was lost")
            self.close()
            raise WorkerError(f"{self.name}: a worker process {how}") from error


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """The state that worker processes are to inherit.

    The workers ignore Ctrl-C and the end of a terminal, which go to all of its processes: the parent ends them. Unlike
    multiprocessing's own they do not import the program's main module: they need nothing of it, it takes seconds, and a
    script without a guard would run again. Each worker has one core, and one thread of linear algebra. Sets have the
    same order in all of them.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    wanted = threads | {"PYTHONHASHSEED": "0"}
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    main, can_block = sys.modules["__main__"], hasattr(signal, "pthread_sigmask")  # Windows cannot
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF_TO) if can_block else ()
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
        sys.modules["__main__"] = main
        if can_block:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _how_it_ended(process: Any) -> str:
    """How a process ended, in words; '' if it still runs."""
    process.join(0.2)
    if process.exitcode is None:
        return ""
    if process.exitcode >= 0:
        return f"ended with status {process.exitcode}"
    name = signal.Signals(-process.exitcode).name
    return f"was killed by {name}" + " (out of memory?)" * (name == "SIGKILL")


def _end(vector_env: Any) -> None:
    """End the workers: on request, or by force if they do not within GRACE."""
    vector_env.closed = True  # its own `close` waits without an end for a worker that has died, or does not answer
    for pipe in vector_env.parent_pipes:
        with contextlib.suppress(OSError):
            pipe.send(("close", None))
    deadline = time.monotonic() + GRACE
    for act in (lambda process: None, lambda process: process.terminate(), lambda process: process.kill()):
        for process in vector_env.processes:
            act(process)
        for process in vector_env.processes:
            process.join(max(0.5, deadline - time.monotonic()))
    for pipe in vector_env.parent_pipes:
        pipe.close()
    vector_env.error_queue.close()
