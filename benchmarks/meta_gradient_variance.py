"""How far estimates of one meta-gradient scatter, and about which means: plain, LVC and DiCE on the same batches.

python -m benchmarks.meta_gradient_variance --env navigation-2d --output figure.png -- --num-threads 1

The policy and the tasks are fixed. Each draw plays the inner loop anew, from keys of its own, and the meta-gradient is
computed on its batches with each inner loss of `maml_rl.rl.losses` (their inner steps are equal), and with second
derivatives taken as zero. Options of maml_rl.train follow after --. Of n gradients g_1, ..., g_n of an estimator:

relative_std: sqrt(trace(covariance) / |mean|^2), with |mean|^2 estimated by the mean of g_i . g_j, i not j, which noise
does not lengthen. std_over_lvc: sqrt(trace(covariance)) over that of LVC. relative_std_of_components: as in the code of
Rothfuss et al. 2019, figure 3, the mean over components of std / |mean|; those whose mean is near zero govern it.
cosine: the mean cosine of g_i and the mean of the others. distance: |mean - DiCE's mean| over the length of the
first-order mean; distance_error: its root mean square if there were none. curvature_...: of what the second derivatives
add, g_i less the first-order gradient of the same draw; its length is over that of the first-order mean. Three numbers
are a value and its 95 % interval, the jackknife's over the draws; null stands for what noise hides.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter
from torch import Tensor

from benchmarks.command import run
from benchmarks.measure import machine
from benchmarks.train_flags import training_config
from maml_rl.interface.first_state import first_state
from maml_rl.machine.atomic_file import write_atomically
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.machine.threads import use_threads
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_gradient import meta_gradient
from maml_rl.meta.problem import Problem
from maml_rl.options.config import RlConfig
from maml_rl.options.output_file import FIGURES, check_output
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.reports.canvas import COLOURS, FONT_SIZE, MARKERS, picture
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from maml_rl.schema.bounds import Count, Within
from maml_rl.schema.errors import UsageError

PROG = "python -m benchmarks.meta_gradient_variance"
ALGORITHMS = ("maml", "fomaml", "e_maml", "promp", "lvc", "dice")  # whose inner loop moves theta by one step size
LABELS = {"first_order": "first order", "plain": "plain (MAML)", "lvc": "LVC", "dice": "DiCE"}


@dataclass(frozen=True)
class Options:
    env: tuple[str, ...] = ("navigation-2d", "tabular-mdp", "halfcheetah-dir")
    iterations: Count = 30
    """Iterations that the trained policy has had; the untrained one is measured too."""
    tasks: Count = 5
    episodes: tuple[Count, ...] = (5, 10, 20, 40)
    """Episodes of each task, before the inner step and after it."""
    draws: Annotated[int, Within(3)] = 20
    preset: str | None = None
    seed: int = 1
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    output: Path | None = None
    """Figure to write, .png, .pdf or .svg: relative_std against episodes, with its intervals."""


def estimates(problem: Problem, theta: Tensor, alpha: float, steps: int) -> dict[str, Tensor]:
    """The meta-gradient [P] at theta [P] by every estimator, on the batches of one inner loop: float64, on the CPU."""
    inner = {name: Inner(each.loss, alpha, steps) for name, each in problem.estimators.items()}
    inner = {"first_order": replace(inner["plain"], first_order=True), **inner}
    path = inner_loop(problem, theta, inner["plain"])
    at = {name: meta_gradient(problem, path, each, problem.outer_loss) for name, each in inner.items()}
    return {name: each.gradient.double().cpu() for name, each in at.items()}


def measure(config: RlConfig, theta: Tensor, options: Options, episodes: int) -> dict[str, Any]:
    """`statistics` of independent draws with that many episodes of each task."""
    setting = make_rl_setting(replace(config, num_tasks=options.tasks, episodes_per_task=episodes))
    tasks = setting.family.sample_tasks(options.tasks, keyed(Purpose.EVALUATION_TASKS, options.seed))
    alpha, steps = config.algorithm_options.inner_lr, config.algorithm_options.inner_steps
    draws = [
        estimates(setting.problem(tasks, Draws(Purpose.EVALUATION_EPISODES, options.seed, n)), theta, alpha, steps)
        for n in range(options.draws)
    ]
    return statistics({name: torch.stack([draw[name] for draw in draws]) for name in draws[0]})


def statistics(gradients: Mapping[str, Tensor]) -> dict[str, Any]:
    """The numbers that the head of this file defines, for each estimator's gradients [n, P]."""
    unit = _root(spread(products(gradients["first_order"]))[0])
    return {name: _of_estimator(name, gradients, unit) for name in gradients}


def _of_estimator(name: str, gradients: Mapping[str, Tensor], unit: float) -> dict[str, Any]:
    g, n = gradients[name], len(gradients[name])
    others = (g.sum(dim=0) - g) / (n - 1)
    off = g - gradients["dice"]
    each, lvc, added = products(g), products(gradients["lvc"]), products(g - gradients["first_order"])
    row = {
        "relative_std": with_interval(lambda rows: relative_std(each[rows][:, rows]), n),
        "std_over_lvc": with_interval(
            lambda rows: _root(spread(each[rows][:, rows])[1] / spread(lvc[rows][:, rows])[1]), n
        ),
        "relative_std_of_components": float((g.std(dim=0, correction=0) / g.mean(dim=0).abs()).nanmean()),
        "cosine": float(torch.cosine_similarity(g, others, dim=1).mean()),
        "distance": float(off.mean(dim=0).norm()) / unit,
        "distance_error": _root(spread(products(off))[1] / n) / unit,
    }
    if name != "first_order":
        row["curvature_relative_std"] = with_interval(lambda rows: relative_std(added[rows][:, rows]), n)
        row["curvature_length"] = _root(spread(added)[0]) / unit
    return row


def products(g: Tensor) -> Tensor:
    """g_i . g_j of gradients [n, P]: [n, n]. Lengths, and their spread, need no more of them."""
    return g @ g.T


def spread(products: Tensor) -> tuple[float, float]:
    """Unbiased estimates of |mean|^2 and of the trace of the covariance, from products [n, n]."""
    n, squares = len(products), float(products.diagonal().sum())
    square_of_mean = (float(products.sum()) - squares) / (n * (n - 1))
    return square_of_mean, squares / n - square_of_mean


def relative_std(products: Tensor) -> float:
    """From products [n, n]; NaN if the mean is lost in the noise."""
    square_of_mean, variance = spread(products)
    return _root(variance) / _root(square_of_mean)


def with_interval(statistic: Callable[[Tensor], float], n: int) -> list[float]:
    """A positive statistic of the draws with the given numbers, and the jackknife's 95 % interval on its logarithm."""
    draws = torch.arange(n)
    value = statistic(draws)
    logs = torch.tensor([statistic(draws[draws != i]) for i in range(n)], dtype=torch.float64).log()
    width = 1.96 * math.sqrt((n - 1) ** 2 / n * float(logs.var()))
    return [value, value * math.exp(-width), value * math.exp(width)]


def _root(square: float) -> float:
    return math.sqrt(square) if square >= 0 else math.nan


def rounded(value: Any) -> Any:
    """Three digits of every number; null in place of one that is none."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.3g}") if math.isfinite(value) else None
    return value


def trained(config: RlConfig, iterations: int) -> list[tuple[str, Tensor]]:
    """The policy at first, and after that many iterations: a name and theta [P] of each, on the configured device."""
    setting = make_rl_setting(config)
    checkpoint = Checkpoint(first_state(setting), 0, 0).on(choose_device(config.device))
    thetas = [("untrained", checkpoint.state["theta"])]
    while checkpoint.iteration < iterations:
        checkpoint, _ = iterate(setting, checkpoint)
    return [*thetas, (f"after {iterations} iterations", checkpoint.state["theta"])] if iterations else thetas


def rows_of(config: RlConfig, options: Options) -> list[dict[str, Any]]:
    """Every policy of a family, by number of episodes."""
    rows = []
    for policy, theta in trained(config, options.iterations):
        for episodes in options.episodes:
            result = rounded(measure(config, theta, options, episodes))
            rows.append({"env": config.env, "policy": policy, "episodes": episodes, "estimators": result})
            shown = ", ".join(f"{name} {each['relative_std'][0]}" for name, each in result.items())
            print(f"{config.env}, {policy}, {episodes} episodes: {shown}", file=sys.stderr, flush=True)
    return rows


def figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Relative standard deviation against episodes: a column for each family, a line of panels for each policy."""
    columns = list(dict.fromkeys(row["env"] for row in rows))
    lines = list(dict.fromkeys(row["policy"] for row in rows))
    drawn = Figure(figsize=(4 * len(columns), 3.2 * len(lines) + 1), dpi=90, layout="constrained")
    FigureCanvasAgg(drawn)
    panels = drawn.subplots(len(lines), len(columns), squeeze=False, sharex=True)
    for row_of_panels, policy in zip(panels, lines, strict=True):
        for axes, env in zip(row_of_panels, columns, strict=True):
            chosen = [row for row in rows if (row["env"], row["policy"]) == (env, policy)]
            for i, (name, label) in enumerate(LABELS.items()):
                points = [(row["episodes"], *row["estimators"][name]["relative_std"]) for row in chosen]
                points = [point for point in points if None not in point]
                if not points:
                    continue
                x, value, low, high = (list(part) for part in zip(*points, strict=True))
                bars = [
                    [v - a for v, a in zip(value, low, strict=True)],
                    [b - v for v, b in zip(value, high, strict=True)],
                ]
                shifted = [each * 1.06 ** (i - 1.5) for each in x]  # so that no interval hides another
                axes.errorbar(shifted, value, yerr=bars, color=COLOURS[i], marker=MARKERS[i], capsize=3, label=label)
            ticks = [row["episodes"] for row in chosen]
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.minorticks_off()
            axes.set_xticks(ticks, [str(each) for each in ticks])
            axes.set_title(f"{env}, {policy}", fontsize=FONT_SIZE - 1)
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=FONT_SIZE - 2)
    drawn.supxlabel("episodes of each task (bars: 95 % interval)", fontsize=FONT_SIZE)
    drawn.supylabel("meta-gradient: std over draws / length of mean", fontsize=FONT_SIZE)
    handles, labels = panels[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=FONT_SIZE - 1)
    return drawn


def result(options: Options, flags: Sequence[str]) -> dict[str, Any]:
    if options.output:
        check_output("--output", options.output, FIGURES)
    given = {"preset": options.preset, "seed": options.seed, "device": options.device}
    configs = [training_config(PROG, {"env": env, **given}, flags) for env in options.env]
    for config in configs:
        if config.algorithm not in ALGORITHMS:
            raise UsageError(f"--algorithm: got {config.algorithm!r}, allowed here: {', '.join(ALGORITHMS)}")
    use_threads(configs[0].num_threads)
    rows = [row for config in configs for row in rows_of(config, options)]
    if options.output:
        write_atomically(options.output, picture(figure(rows), options.output.suffix[1:]))
    setting: dict[str, Any] = {"tasks": options.tasks, "draws": options.draws}
    setting |= {"seed": options.seed, "preset": options.preset, "flags": " ".join(flags), "results": rows}
    return setting | machine(choose_device(configs[0].device))


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    return run("meta_gradient_variance", Options, str(__doc__), result, argv, trains=True)


if __name__ == "__main__":
    sys.exit(main())
