"""The tracks of episodes on a plane: of some tasks, before adaptation and after the last step of it."""

from dataclasses import dataclass

from markupsafe import Markup

from maml_rl.evaluation.policies import PolicyResult
from maml_rl.page.chart import Scale
from maml_rl.page.element import element, points
from maml_rl.rl.trajectories import Trajectories

FAMILIES = {"navigation-2d"}  # whose observation begins with the position [2] (m)
SIDE = 200.0
HALF_WIDTH = 0.65  # m: the visible part around the start, or more if a goal is beyond
TRACKS = 5  # episodes that are drawn of a task


@dataclass(frozen=True)
class Tracks:
    """A drawing of one task, and its words."""

    words: str
    drawing: Markup


def has_tracks(result: PolicyResult) -> bool:
    """Whether the family's episodes have tracks."""
    return result.setting.config.env in FAMILIES


def tracks_of(result: PolicyResult, task: int) -> Tracks:
    """The first episodes of a task: the goal, and the points that the policy passed."""
    goal = result.tasks[task].tolist()
    half = max(HALF_WIDTH, *(1.2 * abs(part) for part in goal))
    x, y = Scale(-half, half, 0, SIDE), Scale(-half, half, SIDE, 0)
    before, *after = (each.rows(slice(task, task + 1)) for each in result.adaptation.trajectories)
    lines = [_line(track, x, y, "before") for track in _positions(before)]
    lines += [_line(track, x, y, "last") for each in after[-1:] for track in _positions(each)]
    square = [(x(a), y(b)) for a, b in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5))]
    words = result.setting.family.describe(result.tasks[task])
    drawing = element(
        "svg",
        element("polyline", points=points(square), class_="square"),
        *lines,
        element("circle", cx=x(0), cy=y(0), r=3.0, class_="start"),
        element("circle", cx=x(goal[0]), cy=y(goal[1]), r=6.0, class_="goal"),
        viewBox=f"0 0 {SIDE:g} {SIDE:g}",
        role="img",
        aria_label=f"tracks to {words}",
        class_="tracks",
    )
    return Tracks(words, drawing)


def _positions(trajectories: Trajectories) -> list[list[list[float]]]:
    """Of one task the positions [t, 2] (m) of its first episodes."""
    observations, first = trajectories.observations[0, :TRACKS, :, :2].cpu(), trajectories.first[0, :TRACKS].cpu()
    return [track[steps].tolist() for track, steps in zip(observations, first, strict=True)]


def _line(track: list[list[float]], x: Scale, y: Scale, name: str) -> Markup:
    return element("polyline", points=points([(x(a), y(b)) for a, b in track]), class_=name)
