"""Figures: learning curves of training, and of evaluation against steps of adaptation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from maml_rl.reports.canvas import COLOURS, FONT_SIZE, MARKERS, PLAIN_TEXT, as_text, blank, grid
from maml_rl.reports.measure import ACCURACY, LOSS, RETURN, Measure
from maml_rl.schema.errors import UsageError

MANY = 4  # groups of runs from which on the curves before adaptation, and bands, stand back
MAX_PANELS, MAX_CURVES = 20, 200  # of a figure: beyond them nothing can be told apart
OFFSET = 0.04  # gradient steps between two policies' intervals, so that none hides another

Metrics = Sequence[Mapping[str, Any]]  # the lines of a metrics.jsonl
Groups = Mapping[str, Sequence[Metrics]]  # runs that differ in their seeds alone, by a label
# `tasks`, `measure` and `results` as of an evaluation JSON; `step` may be its word for a step of adaptation.
Evaluation = Mapping[str, Any]
SMOOTH = 100  # a curve of supervised learning is smoothed over a share of 1 / SMOOTH of its rows


def figure(learning: Mapping[str, Groups], evaluations: Sequence[Evaluation]) -> Figure:
    """One figure with a panel of learning curves and one of evaluations per family or data set, if there are any.

    learning: the groups of runs of each family or data set, by its name. Names are text: a $ in them begins no formula.
    Raises UsageError for more families or curves than a figure can have.
    """
    with rc_context(PLAIN_TEXT):
        return _figure(learning, evaluations)


def _figure(learning: Mapping[str, Groups], evaluations: Sequence[Evaluation]) -> Figure:
    evaluated = list(dict.fromkeys(each["tasks"] for each in evaluations))
    panels = len(learning) + len(evaluated)
    curves = [2 * len(groups) for groups in learning.values()]
    curves += [sum(len(each["results"]) for each in evaluations if each["tasks"] == name) for name in evaluated]
    for got, most, noun in (
        (panels, MAX_PANELS, "families"),
        (max(curves, default=0), MAX_CURVES, "curves of a family"),
    ):
        if got > most:
            raise UsageError(f"got {got} {noun}, allowed: up to {most} in a figure")
    height = 6 + max(0, max(curves, default=0) - 8) * FONT_SIZE / 50  # inches: for a legend of many lines
    rows, columns = grid(panels)
    drawn = blank(8 * columns, height * rows)
    axes = list(drawn.subplots(rows, columns, squeeze=False).flat)
    for each in axes[panels:]:
        each.remove()
    labels = dict.fromkeys(label for groups in learning.values() for label in groups)
    colours = dict(zip(labels, _cycle(COLOURS), strict=False))  # of one label the same in all panels
    for each, (env, groups) in zip(axes, learning.items(), strict=False):
        learning_curves(each, env, groups, colours)
    for each, name in zip(axes[len(learning) : panels], evaluated, strict=True):
        adaptation_curves(each, name, [one for one in evaluations if one["tasks"] == name])
    return drawn


def learning_curves(axes: Axes, env: str, groups: Groups, colours: Mapping[str, str]) -> None:
    """The measure before adaptation (dashed) and after it (solid) in training; bands are +- 1 std over seeds.

    Returns against env steps, accuracies and losses against iterations.
    """
    many = len(groups) > MANY
    rows = [row for runs in groups.values() for run in runs for row in run]
    measure = next(each for each in (RETURN, ACCURACY, LOSS) if all(f"{each.name}/pre" in row for row in rows))
    pre, post = f"{measure.name}/pre", f"{measure.name}/post"
    x_axis, x_words = ("env_steps", "environment steps") if measure is RETURN else ("iteration", "iterations")
    for label, runs in groups.items():
        colour = colours[label]
        steps = [np.array([row[x_axis] for row in run], dtype=float) for run in runs]
        grid = steps[0][steps[0] <= min(each[-1] for each in steps)]
        adapts = any(row[pre] != row[post] for run in runs for row in run)
        after = "" if many else "after adaptation"
        kinds = [(pre, "--", "before adaptation"), (post, "-", after)]
        for key, style, kind in kinds if adapts else [(post, "-", "")]:
            values = [np.array([_number(row[key]) for row in run]) for run in runs]
            values = values if measure is RETURN else [_smoothed(each) for each in values]
            curves = np.stack([np.interp(grid, x, y) for x, y in zip(steps, values, strict=True)])
            seeds = f"mean +- std of {len(runs)} seeds" if len(runs) > 1 else ""
            mean, spread = curves.mean(axis=0), curves.std(axis=0, ddof=min(1, len(runs) - 1))
            words = ", ".join(part for part in (label, kind, seeds) if part) or measure.name
            marker, behind = "." if len(grid) == 1 else None, many and key == pre
            (line,) = axes.plot(
                grid, mean, style, color=colour, label=None if behind else as_text(words), marker=marker
            )
            if behind:
                line.set(linewidth=0.8, alpha=0.5)
            if len(runs) > 1 and not behind:
                alpha = 0.08 if many else 0.2
                axes.fill_between(grid, mean - spread, mean + spread, color=colour, alpha=alpha, linewidth=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    title = f"{env}: after adaptation; thin, dashed: before it" if many else env
    _finish(axes, title, x_words, measure.of_training)


def adaptation_curves(axes: Axes, env: str, evaluations: Sequence[Evaluation]) -> None:
    """Draw mean return against steps of adaptation, with 95 % intervals over tasks (Finn et al. 2017, figure 5).

    A result without any, such as an oracle's, becomes a horizontal line, if another result has some.
    """
    measure: Measure = evaluations[0]["measure"]
    results = [(result, each.get("label", "")) for each in evaluations for result in each["results"]]
    names = Counter(result["name"] for result, _ in results)
    last = max(max(result["gradient_steps"]) for result, _ in results)
    for i, (result, source) in enumerate(results):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        label = f"{result['name']}, {source}" if names[result["name"]] > 1 else result["name"]
        x, mean = (
            np.array(result["gradient_steps"]),
            np.array([_number(each) for each in result[f"{measure.name}_mean"]]),
        )
        half = np.array([width or 0.0 for width in result[f"{measure.name}_ci95"]])
        if len(x) == 1 and last > 0:
            axes.axhline(mean[0], color=colour, linestyle=":", label=as_text(label))
            axes.axhspan(mean[0] - half[0], mean[0] + half[0], color=colour, alpha=0.12, linewidth=0)
        else:
            shifted = x + OFFSET * (i - (len(results) - 1) / 2)
            axes.errorbar(shifted, mean, yerr=half, color=colour, marker=marker, capsize=4, label=as_text(label))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    words = {each.get("step", "gradient step") for each in evaluations}
    steps = f"{words.pop()}s" if len(words) == 1 else "steps"
    _finish(axes, env, f"{steps} on the task (bars: 95 % interval over tasks)", measure.axis)


def _finish(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(as_text(title), fontsize=FONT_SIZE)
    axes.set_xlabel(x, fontsize=FONT_SIZE)
    axes.set_ylabel(y, fontsize=FONT_SIZE)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT_SIZE)
    axes.legend(fontsize=FONT_SIZE - 2, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _cycle(values: Sequence[str]) -> list[str]:
    return [*values] * 100


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Running means [n] of values [n]: a row is of one iteration's few tasks."""
    width = max(1, len(values) // SMOOTH)
    totals = np.cumsum(np.insert(values, 0, 0.0))
    first = np.maximum(np.arange(len(values)) + 1 - width, 0)
    last = np.arange(len(values)) + 1
    return (totals[last] - totals[first]) / (last - first)


def _number(value: float | None) -> float:
    """A metric; a number that was not finite is null in the file."""
    return np.nan if value is None else value
