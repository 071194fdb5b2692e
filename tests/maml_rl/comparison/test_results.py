"""docs/results.md is what `make results` makes of docs/runs/."""

from pathlib import Path

import pytest

from maml_rl.comparison import document, table
from maml_rl.comparison.markdown_file import check_place, tables_in, write_tables
from maml_rl.schema.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]
KEPT = sorted((ROOT / "docs" / "runs").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_the_tables_are_those_of_the_kept_runs(path: Path) -> None:
    comparison = document.read_comparison(path)
    assert comparison.tasks == path.stem
    expected = table.markdown(table.summary_rows(comparison, document.summaries(comparison)))
    assert tables_in(ROOT / "docs" / "results.md", comparison.tasks).startswith(expected)


def test_tables_take_the_place_between_their_comments_and_nothing_else(tmp_path) -> None:
    page = tmp_path / "page.md"
    text = "# A\n\n<!-- compare: one -->\nold\n<!-- end -->\n\nb\n<!-- compare: two -->\n<!-- end -->\n"
    page.write_text(text)
    write_tables(page, "two", "| new |\n")
    write_tables(page, "one", "| newer |\n")
    assert tables_in(page, "one") == "| newer |"
    assert tables_in(page, "two") == "| new |"
    again = page.read_text()
    assert again.replace("\n| newer |\n\n", "old\n").replace("\n| new |\n\n", "") == text
    write_tables(page, "one", "| newer |\n")
    assert page.read_text() == again


@pytest.mark.parametrize("text", ["", "<!-- compare: one -->\n", "<!-- end -->\n<!-- compare: one -->\n", None])
def test_a_file_without_the_place(tmp_path, text) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    with pytest.raises(UsageError, match="--markdown"):
        check_place(page, "one")
