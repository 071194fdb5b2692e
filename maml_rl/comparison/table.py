"""The tables of a comparison: rows of cells, for a terminal, a page, or Markdown."""

from collections.abc import Callable, Sequence

from maml_rl.comparison.document import Against, Comparison, Summary
from maml_rl.reports.measure import LOSS, Measure
from maml_rl.reports.statistics import Estimate

Rows = list[list[str]]  # the first has the headings

MAX_STEPS = 3  # that have a column
ONE_SEED = "one seed of {}: nothing can be concluded about the method; intervals are over tasks alone"


def summary_rows(comparison: Comparison, found: Sequence[Summary]) -> Rows:
    """A row for each label: its seeds, its length, interquartile means after 0, 1, ... steps and after the last."""
    length = "env steps" if comparison.side == "env" else "iterations"
    shown = range(min(MAX_STEPS, max(len(each.middles) for each in found) - 1) + 1)
    steps = [str(step) for step in shown]
    further = any(len(each.middles) > len(shown) for each in found)
    last = ["the last"] if further else []
    rows = [["", "seeds", length, "time", *steps, *last, "[95 % interval of the last]"]]
    for each in found:
        middles, measure = each.middles, comparison.measure
        rows.append(
            [
                each.label,
                ", ".join(str(run.seed) for run in each.runs),
                _range([run.done[-1] if run.done else 0 for run in each.runs], _short),
                _range([run.seconds[-1] if run.seconds else 0 for run in each.runs], _minutes),
                *(measure.text(middles[step].value) if step < len(middles) else "" for step in shown),
                *([f"{len(middles) - 1}: {measure.text(middles[-1].value)}"] if further else []),
                interval(middles[-1], measure),
            ]
        )
    return rows


def against_rows(pairs: Sequence[Against], measure: Measure, other: str | None = None) -> Rows:
    """A row for each pair. other: only those against this label, if it is given."""
    rows = [["", "against", "probability of improvement", "[95 % interval]", "difference of means", "[95 % interval]"]]
    for pair in pairs:
        if other in (None, pair.other):
            rows.append(
                [
                    pair.label,
                    pair.other,
                    f"{pair.improvement.value:.2f}",
                    "-"
                    if pair.improvement.low is None
                    else f"[{pair.improvement.low:.2f}, {pair.improvement.high:.2f}]",
                    signed(pair.difference.value, measure),
                    interval(pair.difference, measure),
                ]
            )
    return rows


def notes(comparison: Comparison) -> list[str]:
    """Sentences that have to stand below the tables."""
    words = [
        "scores are interquartile means over seeds and tasks; differences are of plain means; intervals resample both"
    ]
    if comparison.measure is LOSS:
        words.append("an improvement is a lower error")
    if comparison.with_one_seed:
        words.append(ONE_SEED.format(", ".join(comparison.with_one_seed)))
    return words


def interval(estimate: Estimate, measure: Measure) -> str:
    """[low, high] of an estimate."""
    if estimate.low is None or estimate.high is None:
        return "-"
    return f"[{measure.text(estimate.low)}, {measure.text(estimate.high)}]"


def signed(value: float, measure: Measure) -> str:
    """A difference, with its sign."""
    return ("-" if value < 0 else "+") + measure.text(abs(value))


def markdown(rows: Rows) -> str:
    """A table in Markdown."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body]) + "\n"


def _range(values: Sequence[float], text: Callable[[float], str]) -> str:
    """What all seeds have, in words."""
    low, high = text(min(values)), text(max(values))
    return low if low == high else f"{low} to {high}"


def _short(number: float) -> str:
    """80k, 8.0M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:g}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.3g} min"
