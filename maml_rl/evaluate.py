"""Evaluate policies on new tasks: a table, a JSON file, a video.

python -m maml_rl.evaluate runs/RUN --output evaluation.json --video evaluation.mp4
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from torch import Tensor

from maml_rl.command import FAILED, exit_status
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.machine.atomic_file import write_atomically
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.machine.threads import use_threads
from maml_rl.meta_policy import MetaPolicy, load, untrained
from maml_rl.options.config import Config, configure, flat
from maml_rl.options.given_tasks import episodes_of, load_tasks
from maml_rl.options.output_file import check_output
from maml_rl.options.wiring import Setting, choose_device, make_family, make_setting
from maml_rl.reports.evaluation import Adaptation, adapt_and_roll_out
from maml_rl.reports.video import SUFFIXES, check_size, episodes_side_by_side, write_video
from maml_rl.schema.bounds import Count, Within
from maml_rl.schema.errors import Diverged, UsageError
from maml_rl.schema.fields import Mark, names_with
from maml_rl.schema.flags import option_name, read_flags
from maml_rl.schema.help_page import print_help

PROG = "python -m maml_rl.evaluate"
DESCRIPTION = "Evaluate trained policies on tasks they have not seen, before adaptation and after each gradient step."


@dataclass(frozen=True)
class Options:
    """The policies to evaluate, on which tasks, and the files to write."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Run directories (their best checkpoint, or the last if none is kept), checkpoint files, or names of policies that
    come with the package, such as halfcheetah-dir."""
    env: str | None = None
    """The family that they were trained on: needed for a class of your own, module:Class, to allow that it runs."""
    gradient_steps: Annotated[int, Within(0, 1000)] | None = None
    """Gradient steps on each task, or of rl2 episodes before the last. Default: 3; 0 for an oracle, which is told the
    task; of rl2 those of a trial in training."""
    tasks: Count = 40
    """New tasks to draw."""
    episodes: Count | None = None
    """Episodes of each task, before each gradient step and after the last. Default: as in training; with --fixed-tasks
    maml-paper as in the paper's tests, 20, or 40 for navigation-2d and ant-dir."""
    inner_lr: Annotated[float, Within(0)] | None = None
    """Size of the first gradient step. Default: as in training."""
    eval_lr_ratio: Annotated[float, Within(0)] | None = None
    """Size of the later gradient steps over that of the first. Default: as in training."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 1
    """Seed of tasks, start states and noise. Training and validation never have the same."""
    fixed_tasks: str | None = None
    """JSON or YAML file with a list of tasks to evaluate on instead: [1.7] for 1.7 m/s, [[0.3, -0.2]] for a goal. Or
    maml-paper: the 40 tasks of the MAML paper's tests, of the families that it has."""
    random: bool = False
    """Evaluate a random initialisation beside them, of the first policy's kind."""
    output: Path | None = None
    """JSON file to write."""
    video: Path | None = None
    """Video to write, .mp4 or .gif: the first tasks before adaptation and after each step, side by side."""
    video_tasks: Count = 1
    """Tasks in the video, one below the other."""
    video_size: tuple[int, int] = (320, 240)
    """Width and height of each picture in the video, pixels: even numbers from 64 to 1920."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where policy and adaptation run; auto takes CUDA if there is one."""
    num_threads: Annotated[int, Within(0, 1024)] = 0
    """CPU threads; 0 takes one per CPU."""


@dataclass(frozen=True)
class Result:
    """One policy's evaluation."""

    name: str
    meta_policy: MetaPolicy
    setting: Setting  # of the evaluation
    tasks: Tensor
    adaptation: Adaptation


def parse(argv: Sequence[str]) -> Options:
    """Check argv. Prints help and exits with status 0 if asked for. Raises UsageError for bad input."""
    if any(token in ("-h", "--help") for token in argv):
        print_help({"": Options()}, PROG, DESCRIPTION)
    flags = read_flags(argv, Options, positional="runs")
    options = Options(**flags)
    if not options.runs:
        raise UsageError("got no run and no checkpoint, allowed: one or more; see --help")
    twice = next((path for path in options.runs if options.runs.count(path) > 1), None)
    if twice:
        raise UsageError(f"got {str(twice)!r} twice, allowed: each policy once")
    for name in ("video_tasks", "video_size"):
        if name in flags and not options.video:
            raise UsageError(f"{option_name(name)}: not allowed without --video")
    if options.output:
        check_output("--output", options.output, [".json"])
    if options.video:
        check_output("--video", options.video, SUFFIXES)
        check_size("--video-size", options.video_size)
    if options.video_tasks > options.tasks:
        raise UsageError(f"--video-tasks: got {options.video_tasks}, allowed: 1 to {options.tasks}, as --tasks has it")
    return options


def policies(options: Options) -> list[tuple[str, MetaPolicy]]:
    """The policies to evaluate, by unique names. Raises UsageError if they cannot be compared."""
    loaded = [(str(path), load(path, options.env)) for path in options.runs]
    first_path, first = loaded[0]
    for path, other in loaded:
        for field in names_with(Config, Mark.SHARED):
            got, allowed = getattr(other.config, field), getattr(first.config, field)
            if got != allowed:
                raise UsageError(f"{path}: {field}: got {got!r}, allowed: {allowed!r}, as {first_path} has it")
    if options.random:
        config = configure(first.config, {"algorithm": "maml", "seed": options.seed})
        loaded.append(("random", untrained(config)))
    names = [f"{each.config.algorithm} ({path})" if path != "random" else path for path, each in loaded]
    return [(name, each) for name, (_, each) in zip(names, loaded, strict=True)]


def evaluate(name: str, meta_policy: MetaPolicy, options: Options, console: Console) -> Result:
    """Evaluate one policy on new tasks, or on the fixed ones."""
    trained = meta_policy.config
    family = make_family(trained)
    if options.fixed_tasks is not None:
        tasks = load_tasks(options.fixed_tasks, trained.env, family)
    else:
        tasks = family.sample_tasks(options.tasks, keyed(Purpose.EVALUATION_TASKS, options.seed))
    episodes = options.episodes or episodes_of(options.fixed_tasks, trained.env) or trained.episodes_per_task
    sizes = {"num_tasks": len(tasks), "episodes_per_task": episodes, "device": options.device}
    given = {name: getattr(options, name) for name in ("inner_lr", "eval_lr_ratio")}
    given = {name: value for name, value in given.items() if value is not None}
    setting = make_setting(configure(trained, sizes | given, option_name), family=family)
    steps = setting.evaluation_steps if options.gradient_steps is None else options.gradient_steps
    device = choose_device(options.device)
    state = {name: part.to(device) for name, part in meta_policy.state.items()}
    rollouts = setting.rollouts(tasks, Draws(Purpose.EVALUATION_EPISODES, options.seed))
    with console.status(name) as status:
        try:
            adaptation = adapt_and_roll_out(
                setting.algorithm, state, rollouts, steps, lambda part: status.update(f"{name}: {part}")
            )
        except Diverged as error:
            raise Diverged(f"{name}: {error}") from error
    return Result(name, meta_policy, setting, tasks, adaptation)


def as_json(results: Sequence[Result], options: Options) -> dict[str, Any]:
    """The evaluation JSON: every number that the table has, and every task's."""
    first, config = results[0], results[0].setting.config
    rated = any(result.adaptation.rated for result in results)
    rows: list[dict[str, Any]] = []
    for result in results:
        returns = result.adaptation.returns()  # [K + 1, M]
        rates = result.adaptation.success_rates()  # [K + 1, M]
        rows.append(
            {
                "name": result.name,
                "algorithm": "random" if result.name == "random" else result.setting.config.algorithm,
                "iteration": result.meta_policy.iteration,
                "inner_lrs": result.setting.algorithm.step_sizes(result.meta_policy.state, 0, len(returns) - 1),
                **result.adaptation.summary(),
                **({} if not rated else {"success_rate": rates.mean(dim=1).tolist()}),
                "per_task": [
                    {"task": task.tolist(), "returns": returns[:, i].tolist()}
                    | ({} if not rated else {"success_rates": rates[:, i].tolist()})
                    for i, task in enumerate(result.tasks)
                ],
            }
        )
    named = ("variant", "horizon", "discount", "gae_lambda", "inner_lr", "eval_lr_ratio")
    protocol = {name: value for name, value in flat(config).items() if name in named}
    protocol |= {"tasks": len(first.tasks), "episodes_per_task": config.episodes_per_task, "seed": options.seed}
    protocol |= {"fixed_tasks": options.fixed_tasks}
    checkpoints = [str(path) for path in options.runs]
    return {"env": config.env, "checkpoints": checkpoints, "protocol": protocol, "results": rows}


def with_nulls(value: Any) -> Any:
    """The value for JSON, which has no NaN: null stands for the mean of no episodes, if all have diverged."""
    if isinstance(value, dict):
        return {name: with_nulls(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_nulls(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def print_table(results: Sequence[Result]) -> None:
    """All policies in one table: steps of adaptation, mean return, 95 % confidence interval over tasks, env steps."""
    first = results[0]
    config = first.setting.config
    tasks, episodes = len(first.tasks), config.episodes_per_task
    print(f"{config.env}: {tasks} task{'s' * (tasks > 1)} x {episodes} episode{'s' * (episodes > 1)}\n")
    width = max(len("policy"), *(len(result.name) for result in results))
    rated = any(result.adaptation.rated for result in results)
    kinds = {result.setting.step for result in results}
    steps = f"{kinds.pop()}s" if len(kinds) == 1 else "steps"
    heading = f"{'policy':<{width}}  iterations  {steps:>14}  mean return  95 % interval  env steps per task"
    print(heading + "  success" * rated)
    for result in results:
        rates = result.adaptation.success_rates()
        name, iterations = result.name, f"{result.meta_policy.iteration}"
        for k, mean, interval, env_steps in zip(*result.adaptation.summary().values(), strict=True):
            half = f"+- {interval:.1f}" if interval is not None else "-"
            row = f"{name:<{width}}  {iterations:>10}  {k:>14}  {mean:>11.1f}  {half:>13}  {env_steps:>18,.0f}"
            print(row + f"  {rates[k].mean():>7.0%}" * rated)
            name = iterations = ""


def run(options: Options) -> int:
    """Evaluate, print, write. Returns the exit status: 1 if the video alone could not be made."""
    choose_device(options.device)
    use_threads(options.num_threads)
    console = Console(stderr=True)
    results = [evaluate(name, each, options, console) for name, each in policies(options)]
    print_table(results)
    if options.output:
        text = json.dumps(with_nulls(as_json(results, options)), indent=1) + "\n"
        write_atomically(options.output, text.encode())
    if options.video:
        first = results[0]
        tasks = first.tasks[: options.video_tasks]
        draws = Draws(Purpose.EVALUATION_EPISODES, options.seed)
        try:
            with console.status(f"drawing {options.video}"):
                family = first.setting.family
                frames, fps = episodes_side_by_side(
                    first.setting.config.env,
                    family,
                    tasks,
                    first.adaptation,
                    draws,
                    options.video_size,
                    first.setting.step,
                )
                write_video(options.video, frames, fps)
        except RenderingError as error:
            print(f"maml_rl.evaluate: no video: {error}", file=sys.stderr)
            return FAILED
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status (`maml_rl.command`): 1 also if the video alone could not be made."""
    return exit_status("maml_rl.evaluate", lambda: run(parse(sys.argv[1:] if argv is None else argv)))


if __name__ == "__main__":
    sys.exit(main())
