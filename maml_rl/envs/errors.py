"""Errors of a user's own environments. Imports nothing: worker processes import it too."""


class FamilyError(ValueError):
    """A family that cannot be, or does not keep its part. The message is one line that names it and the fault."""


class WorkerError(RuntimeError):
    """A worker process failed. The message is for the user: its traceback, or how it ended."""
