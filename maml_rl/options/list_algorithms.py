"""The algorithms in a table, for `--list-algorithms`."""

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.schema.text_table import text_table


def algorithms() -> str:
    """Lines of text, one for each algorithm."""
    rows = [[name, entry.summary, entry.source] for name, entry in ALGORITHMS.items()]
    return text_table([["--algorithm", "what is trained", "source"], *rows])
