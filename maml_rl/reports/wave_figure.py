"""Figure of waves: a model's predictions before adaptation and after steps of it, and the points that it saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from maml_rl.reports.canvas import COLOURS, FONT_SIZE, PLAIN_TEXT, as_text, blank, check_number, grid

MAX_WAVES, MAX_STEPS = 6, 6  # panels of a figure, and predictions of each
WIDTH = 4.6  # of a panel, inches
LETTERS = 7  # of a title, per inch
TRUTH, SEEN = "truth", "the points it saw"  # in the legend
WEAKEST, STRONGEST = 0.45, 1.0  # of the blues: after the fewest gradient steps, and after the most
BEYOND = 0.5  # times the range of truths and points: so far beyond them is a prediction seen


@dataclass(frozen=True)
class Wave:
    """A task, and predictions for it."""

    x: np.ndarray  # [n], rad, ascending
    truth: np.ndarray  # [n]
    predictions: Mapping[int, np.ndarray]  # [n] by gradient steps; 0: before adaptation
    support_x: np.ndarray  # [K], rad: the points that the model adapted to
    support_y: np.ndarray  # [K]
    name: str


@rc_context(PLAIN_TEXT)
def wave_figure(waves: Sequence[Wave], title: str) -> Figure:
    """A panel per wave: the truth, predictions by gradient steps, and the points seen (Finn et al. 2017, figure 2).

    All panels have the same axes, and the same colour for a number of gradient steps: the more, the stronger. A
    prediction far beyond the truth is cut. Raises UsageError for more waves or predictions than a figure can have.
    """
    check_number(len(waves), "waves", 1, MAX_WAVES)
    styles = _styles(sorted({step for wave in waves for step in wave.predictions}))
    check_number(len(styles), "numbers of gradient steps", 1, MAX_STEPS)
    rows, columns = grid(len(waves))
    width, height = max(WIDTH * columns, 7.0), 3.6 * rows + 1.4
    drawn = blank(width, height, ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    panels = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for number, (axes, wave) in enumerate(zip(panels.flat, waves, strict=False)):
        _draw(axes, wave, styles)
        if number + columns >= len(waves):  # none is below it
            axes.set_xlabel("x (rad)", fontsize=FONT_SIZE)
            axes.tick_params(labelbottom=True)
        if number % columns == 0:
            axes.set_ylabel("y", fontsize=FONT_SIZE)
    for axes in panels.flat[len(waves) :]:
        axes.remove()
    panels[0, 0].set_ylim(*_limits(waves))
    drawn.suptitle(as_text(title, LETTERS * int(width)), fontsize=FONT_SIZE + 1)
    found = {line.get_label(): line for axes in drawn.axes for line in axes.lines}
    handles = [found[name] for name in (TRUTH, *(style["label"] for style in styles.values()), SEEN)]
    ncols = 2 if columns == 1 else 3
    drawn.legend(handles=handles, loc="outside lower center", ncols=ncols, frameon=False, fontsize=FONT_SIZE - 1)
    return drawn


def _draw(axes: Axes, wave: Wave, styles: Mapping[int, Mapping[str, Any]]) -> None:
    axes.plot(wave.x, wave.truth, color="#BBBBBB", linewidth=6, solid_capstyle="round", label=TRUTH)
    for step in sorted(wave.predictions):
        axes.plot(wave.x, wave.predictions[step], **styles[step])
    axes.plot(wave.support_x, wave.support_y, "^", color=COLOURS[1], mec="white", ms=9, zorder=3, label=SEEN)
    axes.set_title(as_text(wave.name, LETTERS * int(WIDTH)), fontsize=FONT_SIZE)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT_SIZE - 1)


def _styles(steps: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Of the lines, by gradient steps: dotted black before adaptation, then blue that grows stronger."""
    after = [step for step in steps if step > 0]
    blues = colormaps["Blues"](np.linspace(STRONGEST, WEAKEST, len(after))[::-1])  # a single one is the strongest
    styles: dict[int, dict[str, Any]] = {}
    if len(after) < len(steps):
        styles[0] = {"color": "black", "linestyle": ":", "linewidth": 1.8, "label": "before adaptation"}
    for step, blue in zip(after, blues, strict=True):
        words = f"after {step} gradient step{'s' * (step != 1)}"
        styles[step] = {"color": blue, "linewidth": 2.2, "label": words}
    return styles


def _limits(waves: Sequence[Wave]) -> tuple[float, float]:
    """The axis of y: a prediction that is far off, or not finite, does not press the truth flat."""
    known = np.concatenate([values for wave in waves for values in (wave.truth, wave.support_y)])
    low, high = known.min(), known.max()
    far = BEYOND * (high - low) or 1.0
    predicted = np.concatenate([values for wave in waves for values in wave.predictions.values()])
    shown = [low, high, *np.nan_to_num(predicted, nan=low).clip(low - far, high + far)]
    return min(shown) - 0.1 * far, max(shown) + 0.1 * far
