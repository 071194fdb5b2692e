"""Bad input, in one line for the user."""

import difflib
import os
import reprlib
from collections.abc import Iterable
from typing import Any

from maml_rl.envs.errors import one_line


class UsageError(ValueError):
    """Bad input: the message is the one line that the user gets to see, and the exit status is 2."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Diverged(ArithmeticError):
    """Numbers that are not finite came out of a policy or its adaptation: one line for the user, exit status 1."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class _Repr(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to print more than 4,300 digits."""
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"an integer of {x.bit_length()} bits"


_repr = _Repr()
_repr.maxlevel, _repr.maxstring, _repr.maxother, _repr.maxlong = 3, 100, 100, 60


def shown(value: Any) -> str:
    """The repr of a value, cut short: also of a nested one that would not fit into memory."""
    return _repr.repr(value)


def summary(error: BaseException) -> str:
    """An error in one line: an OSError's file and fault, or else the message's last line."""
    if isinstance(error, OSError) and error.strerror:
        named = error.filename if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
        return one_line(f"{os.fsdecode(named)}: {error.strerror}" if named else error.strerror)
    lines = str(error).strip().splitlines()
    return one_line(lines[-1] if lines else type(error).__name__)


def nearest(name: str, valid: Iterable[str]) -> str:
    """'; nearest: ...' naming the valid name most like `name`, or '' if there is none."""
    name = name[:100].lower()  # the comparison takes time that grows with the square of the length
    lowered = {choice.lower(): choice for choice in valid}
    matches = difflib.get_close_matches(name, lowered, n=1)
    matches += [choice for choice in lowered if name and choice.startswith(name)]
    return f"; nearest: {lowered[matches[0]]}" if matches else ""
