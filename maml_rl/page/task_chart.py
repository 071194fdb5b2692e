"""Returns against tasks on a line: of each task the value before adaptation, after a step, and after the last."""

from collections import Counter
from math import isfinite

from markupsafe import Markup

from maml_rl.page.chart import Scale, scale, x_axis, y_axis
from maml_rl.page.element import element
from maml_rl.page.evaluated import Evaluated, Places
from maml_rl.reports.measure import ACCURACY

WIDTH, HEIGHT = 420, 320
LEFT, RIGHT, TOP, BOTTOM = 52.0, 412.0, 26.0, 276.0
SPREAD = 0.7  # of the width of a kind, over which its tasks stand beside each other
MANY = 100  # tasks from which on their marks are small
STEPS = ("before", "first", "last")  # classes of marks


def task_chart(evaluated: Evaluated) -> Markup:
    """A figure with a group of marks for each task, which the page's script finds by its number."""
    places, steps = evaluated.places, evaluated.shown_steps
    at = _spread(places) if places.kind == "kinds" else places.at.tolist()
    x, ticks = _x_scale(places, at)
    y = scale([value for k in steps for value in evaluated.values[k].tolist()], BOTTOM, TOP)
    groups = [_task(evaluated, i, x(place), y) for i, place in enumerate(at)]
    measure = evaluated.measure
    return element(
        "svg",
        y_axis(y, LEFT, RIGHT, measure.axis, measure is ACCURACY),
        x_axis(x, BOTTOM, places.axes[0], ticks),
        *groups,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="group",
        aria_label=f"{measure.axis} of each task",
        class_="chart",
    )


def classes(steps: list[int]) -> dict[int, str]:
    """The class of the marks by numbers of steps: the last one's, if there is any but 0."""
    names = [STEPS[0], *STEPS[3 - len(steps) + 1 :]] if len(steps) > 1 else [STEPS[0]]
    return dict(zip(steps, names, strict=True))


def label(evaluated: Evaluated, i: int) -> str:
    """A task and its values, in words."""
    text = evaluated.measure.text
    values = (f"{evaluated.after(k)} {text(float(evaluated.values[k, i]))}" for k in evaluated.shown_steps)
    return f"{evaluated.tasks[i]}: {', '.join(values)}"


def _task(evaluated: Evaluated, i: int, x: float, y: Scale) -> Markup:
    values = {k: float(evaluated.values[k, i]) for k in evaluated.shown_steps}
    heights = {k: y(value) for k, value in values.items() if isfinite(value)}
    radius = 2.0 if len(evaluated.tasks) > MANY else 3.6
    marks = [element("title", label(evaluated, i))]
    if len(heights) > 1:
        marks.append(element("line", x1=x, x2=x, y1=min(heights.values()), y2=max(heights.values())))
    of_steps = classes(evaluated.shown_steps)
    marks += [element("circle", cx=x, cy=height, r=radius, class_=of_steps[k]) for k, height in heights.items()]
    return element("g", *marks, class_="task", data_task=i, role="img", aria_label=label(evaluated, i))


def _x_scale(places: Places, at: list[float]) -> tuple[Scale, dict[float, str] | None]:
    if places.kind == "circle":
        words = {angle: f"{angle:g}".replace("-", "\N{MINUS SIGN}") for angle in range(-180, 181, 90)}
        return Scale(-190, 190, LEFT, RIGHT), {float(angle): word for angle, word in words.items()}
    if places.kind == "kinds":
        last = len(places.kinds) - 1
        return Scale(-0.5, last + 0.5, LEFT, RIGHT), {float(i): word for i, word in enumerate(places.kinds)}
    return scale(at, LEFT, RIGHT), None


def _spread(places: Places) -> list[float]:
    """Tasks of one kind beside each other, in their order."""
    kinds = places.at.tolist()
    counts, seen = Counter(kinds), Counter[float]()
    spread = []
    for kind in kinds:
        seen[kind] += 1
        spread.append(kind + SPREAD * ((seen[kind] - 0.5) / counts[kind] - 0.5))
    return spread
