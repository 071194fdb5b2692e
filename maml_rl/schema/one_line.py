"""An error in one line."""

import os


def one_line(error: BaseException) -> str:
    """An OSError's file and fault, or else the last line of the message: a traceback's is its summary."""
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
