"""Files that are either whole or not there."""

import os
import tempfile
import time
from pathlib import Path

TEMPORARY = ".new-"  # short: with the file's own name before it, a long one would be longer than file systems take


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file beside `path`, flush it to the disk, rename it.

    On an OSError, which names `path`, that is as before, and no other file is left.
    """
    try:
        _write(path, content)
    except OSError as error:
        if error.errno:
            error.filename = str(path)
        raise


def unused(path: str) -> Path:
    """The path, or with a number behind it if there is such a file: for what must not be lost."""
    names = (path, *(f"{path}-{n}" for n in range(2, 1000)))
    return next(Path(name) for name in names if not os.path.lexists(name))


def remove_torn(folder: Path) -> None:
    """Delete the temporary files that killed processes have left in a folder, which nobody else writes into now."""
    for path in folder.glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's files are their owner's alone
        _replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "nt":  # a folder cannot be opened there
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def _replace(temporary: str, path: Path) -> None:
    """Rename. On Windows a file that another process reads cannot be replaced: try for a second."""
    for _ in range(20 if os.name == "nt" else 0):
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            time.sleep(0.05)
    os.replace(temporary, path)
