"""What all figures share: colours and sizes, names as text, limits, and the file that a figure becomes."""

import io
import warnings
from typing import Any

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


def picture(drawn: Figure, suffix: str) -> bytes:
    """The figure as a file: png, pdf or svg. A character that the font lacks becomes a box."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from font")
        drawn.savefig(buffer, format=suffix)
    return buffer.getvalue()
