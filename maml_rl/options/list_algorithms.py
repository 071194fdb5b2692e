"""The algorithms in a table, for `--list-algorithms` and `--help`."""

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.schema.text_table import text_table


def algorithms(side: str | None = None) -> str:
    """Lines of text, one for each algorithm; with a side, "env" or "data", only of those that it has."""
    rows = [["--algorithm", "what is trained", "source", *([] if side else ["with"])]]
    for name, entry in ALGORITHMS.items():
        if side is None:
            rows.append([name, entry.summary, entry.source, ", ".join(f"--{each}" for each in entry.sides)])
        elif side in entry.sides:
            rows.append([name, entry.summary, entry.source])
    return text_table(rows)
