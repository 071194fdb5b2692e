"""MuJoCo without its own messages."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import threading
from typing import Any

import mujoco


class _QuietMujoco:
    """Context manager: keeps MuJoCo from printing warnings and from leaving MUJOCO_LOG.TXT in the working folder.

    Errors still raise. MuJoCo's setting is the process's: it is restored when the last thread has left the block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
                silent.logto_console = silent.logto_file = False
                silent.set()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._before.set()


quiet_mujoco = _QuietMujoco()
