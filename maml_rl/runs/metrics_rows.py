"""The rows of a metrics.jsonl, checked as they are read: whoever draws or continues them may rely on their types."""

from pathlib import Path
from typing import Annotated, Any

from maml_rl.schema.bounds import Within, check_value
from maml_rl.schema.documents import DocumentError, parse_json
from maml_rl.schema.errors import UsageError

MAX_LINE = 1_000_000  # bytes
LARGEST = 1e30  # no sensible metric is larger, and matplotlib still draws it
Number = Annotated[float | None, Within(-LARGEST, LARGEST)]  # null stands for a number that was not finite, or larger
ITERATION: dict[str, Any] = {"iteration": Annotated[int, Within(0, 2**53)]}
OF_EPISODES = ITERATION | {
    "env_steps": Annotated[int, Within(0, 2**63 - 1)],
    "return/pre": Number,
    "return/post": Number,
}
OF_EXAMPLES = ITERATION | {"loss/pre": Number, "loss/post": Number}


def read_rows(path: Path) -> tuple[list[dict[str, Any]], list[bytes]]:
    """The rows of a metrics.jsonl, and their lines. The last line may be torn, and does not count then, unless it is
    whole but for its end.

    Raises UsageError, naming the line, for anything that a run does not write; OSError if there is no such file.
    """
    rows: list[dict[str, Any]] = []
    lines: list[bytes] = []
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                got = f"got more than {MAX_LINE} bytes"
                raise UsageError(f"{path}: line {len(rows) + 1}: {got}, allowed: metrics of a run")
            if not line.endswith(b"\n"):
                if line.startswith(b"{") and not _is_whole(line):
                    break  # it is the last one, of a run that was killed or still goes on
                line += b"\n"
            label = f"{path}: line {len(rows) + 1}"
            try:
                row = parse_json(line.decode())
            except (DocumentError, UnicodeDecodeError) as error:
                raise UsageError(f"{label}: got what cannot be read ({error}), allowed: metrics of a run") from error
            rows.append(_checked(row, label))
            lines.append(line)
            for name, least in (("iteration", 1), ("env_steps", 0)):
                if len(rows) > 1 and rows[-1].get(name, 0) - rows[-2].get(name, 0) < least:
                    got = f"{name} {rows[-1][name]} after {name} {rows[-2][name]}"
                    raise UsageError(f"{label}: got {got}, allowed: rows in their order")
    return rows, lines


def _is_whole(line: bytes) -> bool:
    try:
        parse_json(line.decode())
    except (DocumentError, UnicodeDecodeError):
        return False
    return True


def _checked(row: Any, label: str) -> dict[str, Any]:
    """The row with every number in its type. Raises UsageError."""
    if not isinstance(row, dict):
        raise UsageError(f"{label}: got a {type(row).__name__}, allowed: metrics of a run")
    required = OF_EXAMPLES if "loss/pre" in row else OF_EPISODES
    missing = next((name for name in required if name not in row), None)
    if missing:
        raise UsageError(f"{label}: got no {missing!r}, allowed: metrics of a run")
    # A metric that an algorithm adds is a number, or whether something is so.
    return {
        name: value
        if isinstance(value, bool) and name not in required
        else check_value(f"{label}: {name}", value, required.get(name, Number))
        for name, value in row.items()
    }
