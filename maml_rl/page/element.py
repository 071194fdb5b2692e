"""Elements of HTML and SVG as text: all that is not one itself is escaped."""

from markupsafe import Markup, escape


def element(name: str, *children: str, **attributes: object) -> Markup:
    """<name attributes>children</name>. A _ in an attribute's name stands for -, one at its end for nothing."""
    words = [f' {key.rstrip("_").replace("_", "-")}="{escape(shortened(value))}"' for key, value in attributes.items()]
    return Markup(f"<{name}{''.join(words)}>{''.join(map(escape, children))}</{name}>")


def shortened(value: object) -> object:
    """A number with as many digits as a drawing needs; anything else as it is."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def points(pairs: list[tuple[float, float]]) -> str:
    """The `points` of a polyline."""
    return " ".join(f"{shortened(x)},{shortened(y)}" for x, y in pairs)
