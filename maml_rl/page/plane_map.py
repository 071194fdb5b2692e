"""Returns against tasks on a plane: a coloured map for each number of steps, all in the same colours."""

from collections.abc import Sequence
from itertools import groupby
from math import isfinite

import torch
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex
from torch import Tensor

from maml_rl.page.chart import FONT, Scale, numbered, scale, x_axis, y_axis
from maml_rl.page.element import element
from maml_rl.page.evaluated import Evaluated
from maml_rl.page.task_chart import MANY, label
from maml_rl.reports.measure import ACCURACY

SIDE = 260  # of a map
LEFT, RIGHT, TOP, BOTTOM = 44.0, 252.0, 26.0, 234.0
CELLS = 36  # of a map, along each axis: each has the colour of its nearest task
ALIKE = 2.0  # ratio of two axes' ranges up to which they get the same scale
NO_VALUE = "#888888"
Cells = Sequence[tuple[int, Markup]]  # a rectangle without its colour, and the task that it has the colour of
BAR = 200.0  # width of the key


def plane_maps(evaluated: Evaluated) -> list[tuple[str, Markup]]:
    """A map and its title for each number of steps that is shown. Bright is good."""
    x, y = _scales(evaluated.places.at)
    cells = _cells(evaluated.places.at, x, y)
    colours = _Colours(evaluated)
    return [(evaluated.after(k), _map(evaluated, k, colours, x, y, cells)) for k in evaluated.shown_steps]


def colour_key(evaluated: Evaluated) -> Markup:
    """The bar that says which colour is which value."""
    colours, steps = _Colours(evaluated), 40
    bars = [
        element("rect", x=16 + i * BAR / steps, y=4.0, width=BAR / steps + 0.5, height=12.0, fill=colours.of(value))
        for i, value in enumerate(torch.linspace(colours.low, colours.high, steps, dtype=torch.float64).tolist())
    ]
    line = Scale(colours.low, colours.high, 16, 16 + BAR)
    ticks = numbered(line.ticks(4), evaluated.measure is ACCURACY)
    words = [element("text", word, x=line(value), y=18.0 + FONT, text_anchor="middle") for value, word in ticks.items()]
    return element(
        "svg",
        *bars,
        *words,
        viewBox=f"0 0 {BAR + 32:g} 34",
        role="img",
        class_="key",
        aria_label=f"colours of {evaluated.measure.axis}",
    )


class _Colours:
    """The colours of an evaluation's values."""

    def __init__(self, evaluated: Evaluated) -> None:
        finite = [value for k in evaluated.shown_steps for value in evaluated.values[k].tolist() if isfinite(value)]
        self.low, self.high = min(finite, default=0.0), max(finite, default=1.0)
        if self.low == self.high:
            self.low, self.high = self.low - 0.5, self.high + 0.5
        self._map = colormaps["viridis" if evaluated.measure.higher_is_better else "viridis_r"]

    def of(self, value: float) -> str:
        """In hexadecimal."""
        return to_hex(self._map((value - self.low) / (self.high - self.low))) if isfinite(value) else NO_VALUE


def _map(evaluated: Evaluated, k: int, colours: _Colours, x: Scale, y: Scale, cells: Cells) -> Markup:
    values = evaluated.values[k].tolist()
    of_tasks = [colours.of(value) for value in values]
    ground = [cell.format(colour=of_tasks[i]) for i, cell in cells]
    marks = [
        element(
            "g",
            element("title", label(evaluated, i)),
            element("circle", cx=x(place[0]), cy=y(place[1]), r=2.5 if len(values) > MANY else 4.5, fill=of_tasks[i]),
            class_="task",
            data_task=i,
            role="img",
            aria_label=label(evaluated, i),
        )
        for i, place in enumerate(evaluated.places.at.tolist())
    ]
    return element(
        "svg",
        element("g", *ground, class_="ground"),
        y_axis(y, LEFT, RIGHT, evaluated.places.axes[1]),
        x_axis(x, BOTTOM, evaluated.places.axes[0]),
        *marks,
        viewBox=f"0 0 {SIDE} {SIDE + 16}",
        role="group",
        aria_label=f"{evaluated.measure.axis} of each task, {evaluated.after(k)}",
        class_="plane",
    )


def _scales(at: Tensor) -> tuple[Scale, Scale]:
    """Of tasks [M, 2]: the same for both axes, if their ranges are alike."""
    x, y = scale(at[:, 0].tolist(), LEFT, RIGHT), scale(at[:, 1].tolist(), BOTTOM, TOP)
    widths = x.high - x.low, y.high - y.low
    if max(widths) > ALIKE * min(widths):
        return x, y
    half = max(widths) / 2
    middle_x, middle_y = (x.low + x.high) / 2, (y.low + y.high) / 2
    return Scale(middle_x - half, middle_x + half, LEFT, RIGHT), Scale(middle_y - half, middle_y + half, BOTTOM, TOP)


def _cells(at: Tensor, x: Scale, y: Scale) -> Cells:
    """Rows of cells that have the same nearest task: its number, and the rectangle without its colour."""
    drawn = torch.tensor([[x(a), y(b)] for a, b in at.tolist()], dtype=torch.float64)
    width, height = (RIGHT - LEFT) / CELLS, (BOTTOM - TOP) / CELLS
    found = []
    for row in range(CELLS):
        centres = torch.tensor([[LEFT + (i + 0.5) * width, TOP + (row + 0.5) * height] for i in range(CELLS)])
        nearest = torch.cdist(centres.double(), drawn).argmin(dim=1).tolist()
        first = 0
        for task, same in groupby(nearest):
            count = len(list(same))
            left, top = LEFT + first * width, TOP + row * height
            rectangle = element("rect", x=left, y=top, width=count * width + 0.2, height=height + 0.2, fill="{colour}")
            found.append((task, rectangle))
            first += count
    return found
