"""Errors of a user's own environments. Imports nothing: worker processes import it too."""

HEAD, TAIL = 300, 200  # characters of a message that is too long: what it is about, and what would be allowed


def one_line(message: str) -> str:
    """The message as one line of a few hundred characters, whatever a user has given that stands in it.

    Characters that cannot be printed are escaped: line ends of every kind, control sequences, undecodable bytes.
    """
    return _cut("".join(each if each.isprintable() else ascii(each)[1:-1] for each in _cut(message)))


def _cut(message: str) -> str:
    return message if len(message) <= HEAD + TAIL else f"{message[:HEAD]} ... {message[-TAIL:]}"


class FamilyError(ValueError):
    """A family that cannot be, or does not keep its part. The message is one line that names it and the fault."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class WorkerError(RuntimeError):
    """Code of the user's failed. The message is for the user: its traceback, or how a worker process ended."""
