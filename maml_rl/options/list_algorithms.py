"""The algorithms, for `--list-algorithms` and `--help`."""

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.schema.text_table import text_table


def algorithms_table() -> str:
    """All of them, a line each."""
    rows = [["--algorithm", "what is trained", "source", "with"]]
    for name, entry in ALGORITHMS.items():
        rows.append([name, entry.summary, entry.source, ", ".join(f"--{each}" for each in entry.sides)])
    return text_table(rows)


def algorithms_of(side: str) -> list[str]:
    """A line for each algorithm that the side has, "env" or "data": no columns, as --help is narrow and wraps it."""
    return [f"{name}: {each.summary} ({each.source})" for name, each in ALGORITHMS.items() if side in each.sides]
