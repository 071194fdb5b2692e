"""The report of a comparison: one page without network."""

from collections.abc import Sequence
from pathlib import Path

from maml_rl.comparison.document import Against, Comparison, Summary
from maml_rl.comparison.figure import alone, panels
from maml_rl.comparison.table import ONE_SEED, Rows, against_rows, notes, summary_rows
from maml_rl.page.document import rendered
from maml_rl.page.inline_svg import inline_svg
from maml_rl.page.tables import Table
from maml_rl.runs.sessions import Session

TEMPLATE = Path(__file__).resolve().with_name("comparison.html.jinja")


def comparison_page(comparison: Comparison, found: Sequence[Summary], pairs: Sequence[Against], made: Session) -> str:
    """The page. made: the session that makes it."""
    measure, first = comparison.measure, found[0].label
    drawn = panels(comparison, found, pairs)
    return rendered(
        TEMPLATE,
        "",
        comparison=comparison,
        found=found,
        figures=[inline_svg(alone(each, len(found)), each.name, each.words) for each in drawn],
        one_seed=ONE_SEED.format(", ".join(comparison.with_one_seed)) if comparison.with_one_seed else "",
        summary=_table(summary_rows(comparison, found)),
        first=_table(against_rows(pairs, measure, first)),
        pairs=_table(against_rows(pairs, measure)),
        notes=[note for note in notes(comparison) if not note.startswith("one seed")],
        runs=_table(_runs(comparison)),
        protocol={name: value for name, value in comparison.protocol.items() if value is not None},
        made=made,
    )


def _runs(comparison: Comparison) -> Rows:
    """A row for each run, before and after adaptation."""
    text = comparison.measure.text
    rows = [["", "seed", "iterations", "mean before", "mean after the last step", "options beside its preset's"]]
    for run in comparison.runs:
        scores = run.matrix
        told = {**({} if run.label == run.algorithm else {"algorithm": run.algorithm}), **run.options}
        options = ", ".join(f"{name} {value}" for name, value in told.items())
        means = [text(float(scores[step].mean())) for step in (0, -1)]
        rows.append([run.label, str(run.seed), f"{run.iterations:,}", *means, options])
    return rows


def _table(rows: Rows) -> Table:
    return Table(rows[0], rows[1:])
