"""Figure of several policies or models on the same tasks: means, and differences from the first, with intervals."""

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from maml_rl.reports.canvas import COLOURS, FONT_SIZE, MARKERS, PLAIN_TEXT, as_text, blank
from maml_rl.reports.measure import ACCURACY, Measure
from maml_rl.reports.paired import Scores

LETTERS = 30  # of a name


@rc_context(PLAIN_TEXT)
def paired_figure(compared: Sequence[Scores], measure: Measure, title: str) -> Figure:
    """A row for each: on the left its mean, on the right its mean difference from the first one, task by task.

    Bars are 95 % intervals over tasks. compared: two to about MAX_COMPARED.
    """
    drawn = blank(12, 1.9 + 0.45 * len(compared))
    left, right = drawn.subplots(1, 2, sharey=True)
    _draw(left, compared, measure)
    _draw(right, [each.less(compared[0]) for each in compared], measure)
    left.set_yticks(range(len(compared)), [as_text(each.name, LETTERS) for each in compared])
    left.set_ylim(len(compared) - 0.5, -0.5)  # the first one is the uppermost
    left.set_xlabel(f"{measure.axis}, after the last step", fontsize=FONT_SIZE)
    right.axvline(0, color="black", linewidth=0.8)
    right.set_xlabel(f"task by task, less\n{as_text(compared[0].name, LETTERS)}", fontsize=FONT_SIZE)
    drawn.suptitle(f"{as_text(title)} (bars: 95 % interval over tasks)", fontsize=FONT_SIZE)
    return drawn


def _draw(axes: Axes, rows: Sequence[Scores], measure: Measure) -> None:
    for i, row in enumerate(rows):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        axes.errorbar(row.mean, i, xerr=row.half or 0.0, color=colour, marker=marker, markersize=8, capsize=5)
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=FONT_SIZE - 1)
    if measure is ACCURACY:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
