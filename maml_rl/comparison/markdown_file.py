"""A Markdown file that holds the tables of comparisons, each between two comments."""

import re
from pathlib import Path

from maml_rl.machine.atomic_file import write_atomically
from maml_rl.schema.documents import DocumentError, read_text
from maml_rl.schema.errors import UsageError

END = "<!-- end -->"


def check_place(path: Path, name: str) -> None:
    """Raise UsageError unless the file has a place for the tables of that name."""
    _split(path, name)


def write_tables(path: Path, name: str, tables: str) -> None:
    """Put the tables in their place. All else in the file stays as it is."""
    before, _, after = _split(path, name)
    write_atomically(path, f"{before}\n{tables.strip()}\n\n{after}".encode())


def tables_in(path: Path, name: str) -> str:
    """What stands there now."""
    return _split(path, name)[1].strip()


def _split(path: Path, name: str) -> tuple[str, str, str]:
    try:
        text = read_text(path)
    except DocumentError as error:
        raise UsageError(f"--markdown: got {str(path)!r}, allowed: a file that can be read ({error})") from error
    begin = f"<!-- compare: {name} -->"
    found = re.fullmatch(rf"(?s)(.*^{re.escape(begin)}\n)(.*?)(^{re.escape(END)}(?:\n.*|))", text, re.MULTILINE)
    if not found:
        raise UsageError(f"--markdown: {path}: got no place for tables, allowed: the lines {begin} and {END}")
    return found[1], found[2], found[3]
