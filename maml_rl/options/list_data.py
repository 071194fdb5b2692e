"""The data sets in a table, for `--list-data`."""

from maml_rl.schema.text_table import text_table
from maml_rl.supervised.catalogue import DATA_SETS, FOLDER


def data_sets() -> str:
    """Lines of text, one for each data set, and one for folders of pictures."""
    kinds = DATA_SETS | {"path/to/folder": FOLDER}
    rows = [[name, kind.task, kind.examples, kind.source] for name, kind in kinds.items()]
    return text_table([["--data", "a task", "examples", "source"], *rows])
