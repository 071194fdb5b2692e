"""Work on several runs at the same time, each in processes of its own."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from maml_rl.machine import stop_signals
from maml_rl.schema.errors import UsageError, one_line

PAUSE = 0.1  # s, between two looks at the processes
MAX_LOG = 4000  # bytes that are read of the end of a log


@dataclass
class Job:
    """The processes of a run, one after another."""

    name: str
    commands: Iterator[tuple[str, list[str]]]
    log: Path
    environment: dict[str, str] | None = None  # of its processes; None: that of this one
    process: subprocess.Popen[bytes] | None = None
    word: str = ""  # of the command under way
    error: str | None = None  # why it has failed

    def go_on(self) -> bool:
        """Start the next process if the one before is done. Returns whether there is one."""
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return True
            self.process = None
            if status:
                self.error = last_line(self.log) or f"{self.word} ended with status {status}"
                return False
        try:
            self.word, command = next(self.commands)
        except StopIteration:
            return False
        except (UsageError, OSError) as error:
            self.error = one_line(str(error))
            return False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return True

    def stop(self) -> None:
        """Have the process write a checkpoint and end."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Until the process has ended."""
        if self.process is not None:
            self.process.wait()


def work(jobs: list[Job], at_once: int, watch: Callable[[list[Job], list[Job]], None]) -> None:
    """Do all jobs, so many at a time. A failed one has an `error`, and the others go on.

    watch: told, again and again, which are under way and which are done. If an exception ends the work, such as
    Interrupted, all processes are stopped first.
    """
    waiting, running, done = list(jobs), [], []
    try:
        while waiting or running:
            stop_signals.check()
            while waiting and len(running) < at_once:
                running.append(waiting.pop(0))
            finished = [job for job in running if not job.go_on()]
            running = [job for job in running if job not in finished]
            done += finished
            watch(running, done)
            if running and not finished:
                time.sleep(PAUSE)
    except BaseException:
        for job in running:
            job.stop()
        for job in running:
            job.wait()
        raise


def last_line(path: Path) -> str:
    """The last line of a log that says something."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LOG))
        lines = file.read().decode(errors="replace").splitlines()
    return one_line(next((line for line in reversed(lines) if line.strip()), ""))
