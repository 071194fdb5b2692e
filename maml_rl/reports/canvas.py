"""What all figures share: colours and sizes, names as text, limits, and the file that a figure becomes."""

import io
import warnings
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from maml_rl.schema.errors import UsageError, one_line

# Okabe and Ito's colours, which stay apart for colour-blind readers, and Tol's muted ones; markers do in grey print.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
COLOURS += ["#882255", "#999933", "#332288", "#44AA99", "#661100", "#888888"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h"]  # another number than of colours
MAX_NAME = 90  # characters of a name; as many fit below a panel
FONT_SIZE = 13  # points; at README width, about half of it
PLAIN_TEXT: dict[Any, Any] = {"text.parse_math": False}  # for `rc_context`: a $ in a name begins no formula


def blank(width: float, height: float, layout: Any = "constrained") -> Figure:
    """A figure without anything in it. width, height: inches. layout: as matplotlib's Figure takes it."""
    drawn = Figure(figsize=(width, height), dpi=120, layout=layout)
    FigureCanvasAgg(drawn)
    return drawn


def grid(panels: int) -> tuple[int, int]:
    """Rows and columns of a figure with so many panels: up to three stand beside each other."""
    columns = 2 if panels == 4 else min(panels, 3)
    return ceil(panels / columns), columns


def check_number(got: int, noun: str, least: int, most: int) -> None:
    """Raise UsageError unless a figure can have so many of a thing. noun: its word, which follows the number."""
    if not least <= got <= most:
        raise UsageError(f"got {got} {noun}, allowed: {least} to {most} in a figure")


def as_text(name: str, most: int = MAX_NAME) -> str:
    """A name as it is drawn: one line of about `most` characters, never empty.

    Nor does it begin with an underscore: in a legend, that means none.
    """
    name = one_line(name)
    name = name if len(name) <= most else f"{name[: most // 2]} ... {name[-most // 2 :]}"
    return f"\N{ZERO WIDTH SPACE}{name}" if name[:1] in ("", "_") else name


def draw_pictures(axes: Axes, pictures: np.ndarray, left: float, top: float, size: float) -> None:
    """A grid of pictures [rows, columns, C, H, W] with grey lines around each. size: of a picture, inches.

    Values from 0 to 1: of 1 channel ink, of 3 RGB. axes: in inches, from the top.
    """
    rows, columns, channels, height, width = pictures.shape
    values = np.moveaxis(pictures.clip(0, 1), 2, -1)
    gap = ceil(max(height, width) / 40)
    side = max(height, width) + 2 * gap
    grid = np.full((rows, columns, side, side, 3), 0.85, np.float32)
    y, x = (side - height) // 2, (side - width) // 2
    grid[:, :, y : y + height, x : x + width] = values if channels == 3 else 1 - values  # ink on paper
    image = grid.swapaxes(1, 2).reshape(rows * side, columns * side, 3)
    axes.imshow(image, extent=(left, left + columns * size, top + rows * size, top), aspect="auto")


def picture(drawn: Figure, suffix: str) -> bytes:
    """The figure as a file: png, pdf or svg. A character that the font lacks becomes a box."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from font")
        drawn.savefig(buffer, format=suffix)
    return buffer.getvalue()
