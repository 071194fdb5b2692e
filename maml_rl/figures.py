"""Figures: return against env steps in training, and against gradient steps in evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

# Okabe and Ito's colours, which stay apart for colour-blind readers; the markers do for those who print in grey.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
FONT_SIZE = 13  # points; at README width, about half of it

Metrics = Sequence[Mapping[str, Any]]  # the lines of a metrics.jsonl
Evaluation = Mapping[str, Any]  # an evaluation JSON


def figure(learning: Mapping[str, Sequence[Metrics]], evaluations: Sequence[Evaluation]) -> Figure:
    """One figure with a panel for the learning curves and one for the evaluations, where there are any.

    learning: the runs of each group, by its label. Runs of a group differ in their seeds.
    """
    panels = bool(learning) + bool(evaluations)
    drawn = Figure(figsize=(8 * panels, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(drawn)
    axes = list(np.atleast_1d(drawn.subplots(1, panels)))
    if learning:
        learning_curves(axes[0], learning)
    if evaluations:
        adaptation_curves(axes[-1], evaluations)
    for each in axes:
        _finish(each)
    return drawn


def learning_curves(axes: Axes, groups: Mapping[str, Sequence[Metrics]]) -> None:
    """Return before adaptation (dashed) and after it (solid) against env steps; bands are +- 1 std over seeds."""
    for (label, runs), colour in zip(groups.items(), _cycle(COLOURS), strict=False):
        steps = [np.array([row["env_steps"] for row in run], dtype=float) for run in runs]
        grid = steps[0][steps[0] <= min(each[-1] for each in steps)]
        adapts = any(row["return/pre"] != row["return/post"] for run in runs for row in run)
        kinds = [("return/pre", "--", " before adaptation"), ("return/post", "-", " after adaptation")]
        for key, style, suffix in kinds if adapts else [("return/post", "-", "")]:
            values = [np.array([_number(row[key]) for row in run]) for run in runs]
            curves = np.stack([np.interp(grid, x, y) for x, y in zip(steps, values, strict=True)])
            seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
            mean, spread = curves.mean(axis=0), curves.std(axis=0, ddof=min(1, len(runs) - 1))
            marker = "." if len(grid) == 1 else None
            axes.plot(grid, mean, style, color=colour, label=f"{label}{suffix}{seeds}", marker=marker)
            if len(runs) > 1:
                axes.fill_between(grid, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("environment steps", fontsize=FONT_SIZE)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylabel("mean return of an episode (reward units)", fontsize=FONT_SIZE)


def adaptation_curves(axes: Axes, evaluations: Sequence[Evaluation]) -> None:
    """Return against gradient steps, with 95 % intervals over tasks (Finn et al. 2017, figure 5).

    A policy that was evaluated without gradient steps, such as an oracle, is a horizontal line.
    """
    envs = list(dict.fromkeys(each["env"] for each in evaluations))
    results = [(each["env"], result) for each in evaluations for result in each["results"]]
    last = max(max(result["gradient_steps"]) for _, result in results)
    for (env, result), colour, marker in zip(results, _cycle(COLOURS), _cycle(MARKERS), strict=False):
        label = result["name"] if len(envs) == 1 else f"{env}: {result['name']}"
        x, mean = np.array(result["gradient_steps"]), np.array(result["return_mean"])
        half = np.array([width or 0.0 for width in result["return_ci95"]])
        if len(x) == 1 and last > 0:
            axes.axhline(mean[0], color=colour, linestyle=":", label=label)
            axes.axhspan(mean[0] - half[0], mean[0] + half[0], color=colour, alpha=0.12, linewidth=0)
        else:
            axes.errorbar(x, mean, yerr=half, color=colour, marker=marker, capsize=4, label=label)
    axes.set_title(", ".join(envs), fontsize=FONT_SIZE)
    axes.set_xlabel("gradient steps on the task", fontsize=FONT_SIZE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("mean return, 95 % interval over tasks (reward units)", fontsize=FONT_SIZE)


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT_SIZE)
    axes.legend(fontsize=FONT_SIZE - 2, frameon=False)


def _cycle(values: Sequence[str]) -> list[str]:
    return [*values] * 100


def _number(value: float | None) -> float:
    """A metric; those that were not finite are null in the file."""
    return np.nan if value is None else value
