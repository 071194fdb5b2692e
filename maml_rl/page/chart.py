"""Axes of figures in plain SVG, and the places that values have on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

from markupsafe import Markup

from maml_rl.page.element import element

FONT = 12  # units of a drawing, which are pixels on a phone


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on a line from `first` to `last`."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within, up to `most` + 1."""
        raw = (self.high - self.low) / most
        power = 10.0 ** floor(log10(raw))
        step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw * (1 - 1e-9))
        first = -floor(-self.low / step + 1e-9)
        return [round(i * step, 12) for i in range(first, floor(self.high / step + 1e-9) + 1)]


def scale(values: Sequence[float], first: float, last: float, margin: float = 0.06) -> Scale:
    """The scale that holds all values that are finite, with a margin of that share of their range at both ends."""
    finite = [value for value in values if isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    space = margin * (high - low) or max(1e-6, 0.5 * abs(high)) or 0.5
    return Scale(low - space, high + space, first, last)


def x_axis(scale: Scale, y: float, words: str, ticks: dict[float, str] | None = None) -> Markup:
    """A line at y with ticks below it. ticks: words by values; None takes round numbers."""
    parts = [element("line", x1=scale.first, x2=scale.last, y1=y, y2=y, class_="axis")]
    for value, word in (ticks or numbered(scale.ticks())).items():
        x = scale(value)
        parts.append(element("line", x1=x, x2=x, y1=y, y2=y + 4, class_="axis"))
        parts.append(element("text", word, x=x, y=y + 5 + FONT, text_anchor="middle"))
    middle = (scale.first + scale.last) / 2
    parts.append(element("text", words, x=middle, y=y + 10 + 2 * FONT, text_anchor="middle"))
    return Markup("").join(parts)


def y_axis(scale: Scale, x: float, right: float, words: str, percent: bool = False) -> Markup:
    """Ticks left of x, lines of a grid from x to `right`, and words above."""
    parts = [element("text", words, x=4.0, y=float(FONT), class_="words")]
    for value, word in numbered(scale.ticks(), percent).items():
        y = scale(value)
        parts.append(element("line", x1=x, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", word, x=x - 5, y=y + FONT / 3, text_anchor="end"))
    return Markup("").join(parts)


def numbered(ticks: Sequence[float], percent: bool = False) -> dict[float, str]:
    """The values as words, all with as many digits behind the point as one of them needs, up to 9."""
    factor = 100 if percent else 1
    digits = next(
        (n for n in range(9) if all(abs(round(factor * tick, n) - factor * tick) < 1e-9 for tick in ticks)), 9
    )
    words = {tick: f"{factor * tick:,.{digits}f}" for tick in ticks}
    return {tick: text.replace("-", "\N{MINUS SIGN}") + " %" * percent for tick, text in words.items()}
