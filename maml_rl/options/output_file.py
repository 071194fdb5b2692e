"""Files that a command is asked to write: whether they can be is said before the work, not after it."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from maml_rl.schema.errors import UsageError, nearest

FIGURES = [".png", ".pdf", ".svg"]  # the kinds of figures


def check_output(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Raise UsageError, naming the option, unless a file of that name could be written and has one of the endings."""
    if path.suffix.lower() not in suffixes:
        hint = nearest(path.suffix, suffixes)
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a file that ends in {', '.join(suffixes)}{hint}")
    if os.path.isdir(path):
        raise UsageError(f"{option}: got {str(path)!r}, which is a folder, allowed: a file")
    if not os.path.isdir(path.parent):
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a file in a folder that exists")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path)  # raises for a name that is too long
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        allowed = f"a file in a folder that can be written ({error.strerror})"
        raise UsageError(f"{option}: got {str(path)!r}, allowed: {allowed}") from error
