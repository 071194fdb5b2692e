"""The figure of a comparison: how the algorithms learned, against env steps and seconds, and what they came to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from maml_rl.comparison.document import Against, Comparison, Summary
from maml_rl.comparison.kept_run import KeptRun
from maml_rl.comparison.table import ONE_SEED
from maml_rl.reports.canvas import COLOURS, FONT_SIZE, MARKERS, PLAIN_TEXT, as_text, blank
from maml_rl.reports.measure import ACCURACY
from maml_rl.reports.statistics import Estimate

MAX_LABELS = 40
LETTERS = 30  # of a label
POINTS = 200  # of a mean curve


@dataclass(frozen=True)
class Panel:
    """One of the pictures that say how a comparison ended."""

    name: str  # of letters
    words: str  # for readers who cannot see it
    draw: Callable[[Axes], None]
    has_lines: bool = False  # which a legend tells apart


def panels(comparison: Comparison, found: Sequence[Summary], pairs: Sequence[Against]) -> list[Panel]:
    """Learning curves against env steps and against seconds; interquartile means; improvement over the first label.

    The curves are means over seeds of the measure after adaptation in training, the bands span the seeds. Bars are 95 %
    intervals. found: up to MAX_LABELS.
    """
    measure, labels = comparison.measure, [each.label for each in found]
    over = [pair for pair in pairs if pair.other == labels[0]]
    unit = PercentFormatter(1.0) if measure is ACCURACY else None

    def steps(axes: Axes) -> None:
        _curves(axes, found, comparison, "done", "environment steps" if comparison.side == "env" else "iterations")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        _in_unit(axes.yaxis, unit)

    def seconds(axes: Axes) -> None:
        _curves(axes, found, comparison, "seconds", "seconds of training")
        _in_unit(axes.yaxis, unit)

    def middles(axes: Axes) -> None:
        _rows(axes, labels, [each.middles[-1] for each in found], labels)
        axes.set_xlabel(f"{measure.axis} after the last step, interquartile", fontsize=FONT_SIZE)
        _in_unit(axes.xaxis, unit)

    def improvements(axes: Axes) -> None:
        _rows(axes, [pair.label for pair in over], [pair.improvement for pair in over], labels)
        axes.axvline(0.5, color="black", linewidth=0.8)
        axes.set_xlim(-0.03, 1.03)
        axes.set_xlabel(f"probability of improvement over {as_text(labels[0], LETTERS)}", fontsize=FONT_SIZE)

    return [
        Panel("steps", "learning curves against the work of training", steps, has_lines=True),
        Panel("seconds", "learning curves against time", seconds, has_lines=True),
        Panel("scores", "interquartile means after the last step, with intervals", middles),
        Panel("improvement", f"probabilities of improvement over {labels[0]}, with intervals", improvements),
    ]


@rc_context(PLAIN_TEXT)
def comparison_figure(comparison: Comparison, found: Sequence[Summary], pairs: Sequence[Against]) -> Figure:
    """All panels in one figure."""
    drawn = blank(15, 8.4 + 0.35 * max(0, len(found) - 6))
    axes = list(drawn.subplots(2, 2).flat)
    for each, panel in zip(axes, panels(comparison, found, pairs), strict=True):
        panel.draw(each)
    words = f"{as_text(comparison.tasks)}: {len(comparison.task_list)} tasks (bars: 95 % intervals)"
    if comparison.with_one_seed:
        words += f"\n{as_text(ONE_SEED.format(', '.join(comparison.with_one_seed)), 130)}"
    drawn.suptitle(words, fontsize=FONT_SIZE + 1)
    _legend(drawn, axes[0], columns=6)
    return drawn


@rc_context(PLAIN_TEXT)
def alone(panel: Panel, rows: int) -> Figure:
    """A panel as a figure of its own. rows: as many as it may have lines or rows."""
    drawn = blank(7, 3.6 + 0.3 * max(0, rows - 6))
    axes = drawn.subplots()
    panel.draw(axes)
    if panel.has_lines:
        _legend(drawn, axes, columns=3)
    return drawn


def _legend(drawn: Figure, axes: Axes, columns: int) -> None:
    """Of the lines in some axes, beneath the figure."""
    lines = {line.get_label(): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    drawn.legend(
        handles=list(lines.values()), loc="outside lower center", ncols=columns, frameon=False, fontsize=FONT_SIZE - 1
    )


def _in_unit(axis: Axis, unit: PercentFormatter | None) -> None:
    if unit:
        axis.set_major_formatter(unit)


def _curves(axes: Axes, found: Sequence[Summary], comparison: Comparison, of: str, words: str) -> None:
    for i, each in enumerate(found):
        curves = [_curve(run, of) for run in each.runs if run.done]
        if not curves:
            continue
        first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
        grid = np.linspace(first, max(first, last), POINTS)
        values = np.stack([np.interp(grid, x, y) for x, y in curves])
        colour = COLOURS[i % len(COLOURS)]
        marker = "o" if first == last else None
        axes.plot(grid, values.mean(axis=0), color=colour, marker=marker, label=as_text(each.label, LETTERS))
        axes.fill_between(grid, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.12, linewidth=0)
    axes.set_xlabel(words, fontsize=FONT_SIZE)
    axes.set_ylabel(comparison.measure.axis, fontsize=FONT_SIZE)
    _plain(axes)


def _curve(run: KeptRun, of: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array(getattr(run, of), dtype=float), np.array(run.post, dtype=float)


def _rows(axes: Axes, names: Sequence[str], estimates: Sequence[Estimate], labels: Sequence[str]) -> None:
    """A row for each estimate, with its interval, in the colour of its label."""
    for row, (name, each) in enumerate(zip(names, estimates, strict=True)):
        at = labels.index(name)
        low, high = (each.value, each.value) if each.low is None or each.high is None else (each.low, each.high)
        bars = [[max(0.0, each.value - low)], [max(0.0, high - each.value)]]
        colour, marker = COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]
        axes.errorbar([each.value], [row], xerr=bars, color=colour, marker=marker, markersize=7, capsize=4)
    axes.set_yticks(range(len(names)), [as_text(name, LETTERS) for name in names])
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT_SIZE - 1)
