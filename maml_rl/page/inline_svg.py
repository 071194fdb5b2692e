"""Figures of matplotlib as SVG within a page: in the page's colours, with text that is text."""

import io
import re
import warnings

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

LEAST, MOST = 56, 100  # pixels of a figure's inch: a narrower screen shows a part, and scrolls
# Text stays text; marks of figures are named by this, and not by chance.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "maml_rl", "text.parse_math": False}
BLACK = r"(fill|stroke): ?(#000000|#000|black)\b"


def inline_svg(drawn: Figure, name: str, words: str) -> Markup:
    """A figure as an <svg> element.
    name: unique on the page, of letters and digits. words: for readers who cannot see it.
    Black becomes the colour of the page's text. Names within begin with `name`.
    """
    buffer = io.BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():  # type: ignore[arg-type] # the names are matplotlib's own
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from font")
        drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"(?s)<metadata>.*?</metadata>|<style.*?</style>", "", text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(BLACK, r"\1: currentColor", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)  # the page's own
    width = drawn.get_figwidth()
    limits = f"min-width: {LEAST * width:.0f}px; max-width: {MOST * width:.0f}px"
    opening = re.sub(r' (width|height|version|xmlns(:\w+)?)="[^"]*"', "", text[: text.index(">")])
    opening += f' role="img" class="figure" style="{limits}" aria-label="{escape(words)}"'
    return Markup(opening + text[text.index(">") :])
