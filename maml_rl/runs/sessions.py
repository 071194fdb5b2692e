"""The sessions of a run, environment.json: command, software and computer of its beginning, and of each resumption."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from maml_rl.machine.atomic_file import write_atomically
from maml_rl.schema.bounds import Within, check_value
from maml_rl.schema.documents import DocumentError, parse_json, read_text
from maml_rl.schema.errors import UsageError

FILE = "environment.json"
MAX_SESSIONS = 100  # of a run that is resumed more often, the first and the last ones
NUMBER = Annotated[int, Within(0)]
KINDS: dict[str, Any] = {"command": str, "started": str, "iteration": NUMBER, "preset": str | None, "processes": NUMBER}


@dataclass(frozen=True)
class Session:
    """One process, or several under torchrun, that trained a run from an iteration on."""

    command: str
    started: str  # ISO 8601, UTC
    iteration: int  # that it began with
    preset: str | None  # by name; None is the family's own
    processes: int
    versions: Mapping[str, str]  # of software
    computer: Mapping[str, str]


def read_sessions(run_dir: Path) -> list[Session]:
    """The sessions of a run in their order. None of a run of an earlier version, or if the file cannot be read."""
    try:
        sessions = parse_json(read_text(run_dir / FILE))
        return [_checked(each) for each in sessions] if isinstance(sessions, list) else []
    except (DocumentError, UsageError):  # nothing depends on it but a report
        return []


def add_session(run_dir: Path, session: Session) -> None:
    """Write a session behind those before it. Raises OSError."""
    first, rest = (before := [*read_sessions(run_dir), session])[:1], before[1:]
    kept = [dataclasses.asdict(each) for each in (*first, *rest[-(MAX_SESSIONS - 1) :])]
    write_atomically(run_dir / FILE, (json.dumps(kept, indent=1) + "\n").encode())


def now() -> str:
    """The time, as a session has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _checked(given: Any) -> Session:
    """A session with every value in its type. Raises UsageError."""
    names = [field.name for field in dataclasses.fields(Session)]
    if not isinstance(given, dict) or any(name not in given for name in names):
        raise UsageError(f"{FILE}: got a session without a part, allowed: {', '.join(names)}")
    values = {name: check_value(f"{FILE}: {name}", given[name], kind) for name, kind in KINDS.items()}
    for name in ("versions", "computer"):
        if not isinstance(given[name], dict):
            raise UsageError(f"{FILE}: {name}: got a {type(given[name]).__name__}, allowed: texts by name")
        values[name] = {key: check_value(f"{FILE}: {name}", value, str) for key, value in given[name].items()}
    return Session(**values)
