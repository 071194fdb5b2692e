"""Bad input, in one line for the user."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Bad input: the message is the one line that the user gets to see, and the exit status is 2."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """'; nearest: ...' naming the valid name most like `name`, or '' if there is none."""
    lowered = {choice.lower(): choice for choice in valid}
    matches = difflib.get_close_matches(name.lower(), lowered, n=1)
    matches += [choice for choice in lowered if name and choice.startswith(name.lower())]
    return f"; nearest: {lowered[matches[0]]}" if matches else ""
