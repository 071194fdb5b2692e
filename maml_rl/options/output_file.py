"""Files that a command is asked to write."""

import os
from collections.abc import Sequence
from pathlib import Path

from maml_rl.schema.errors import UsageError, nearest


def check_output(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Raise UsageError, naming the option, unless a file of that name could be written and has one of the endings."""
    if path.suffix.lower() not in suffixes:
        hint = nearest(path.suffix, suffixes)
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a file that ends in {', '.join(suffixes)}{hint}")
    if path.is_dir():
        raise UsageError(f"{option}: got {str(path)!r}, which is a folder, allowed: a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a file in a folder that exists")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a file in a folder that can be written")
