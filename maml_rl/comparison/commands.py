"""The commands that a run of a comparison still needs: to train, and to be evaluated."""

import dataclasses
import hashlib
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path

from maml_rl.comparison.options import Options
from maml_rl.comparison.plan import PlannedRun
from maml_rl.options.config import flat, names_marked, tasks_of
from maml_rl.options.yaml_file import load_stored
from maml_rl.runs.checkpoint import iterations_done
from maml_rl.runs.directory import create_run_dir, read_run, write_config
from maml_rl.schema.errors import UsageError
from maml_rl.schema.fields import Mark
from maml_rl.schema.flags import option_name

OF_EVALUATION = ("tasks", "episodes", "fixed_tasks", "gradient_steps")


def check_folder(planned: PlannedRun) -> None:
    """Raise UsageError if the run's folder holds a run of other options, or something else."""
    config = planned.folder / "config.yaml"
    if not config.exists():
        return
    stored = load_stored(config, option=str(planned.folder))
    free, then = names_marked(stored, Mark.FREE_ON_RESUME), flat(stored)
    for name, value in flat(planned.config).items():
        if name not in free and then.get(name) != value:
            got = f"{config}: {name}: got {then.get(name)!r}"
            raise UsageError(f"{got}, allowed: {value!r}, as it is planned; another --output begins anew")


def commands(
    planned: PlannedRun, env_steps: int | None, options: Options, num_threads: int
) -> Iterator[tuple[str, list[str]]]:
    """What is left to do, each with a word for it: the next is asked for when the one before has succeeded.

    A run's folder is made here. Raises UsageError if the run has done more iterations than it should.
    """
    folder, wanted = planned.folder, planned.config.iterations
    checkpoints = folder / "checkpoints"
    if not (folder / "config.yaml").exists():
        create_run_dir(folder)
        write_config(folder, dataclasses.replace(planned.config, iterations=1 if env_steps else wanted))
    if env_steps:
        if iterations_done(checkpoints) == 0:
            yield "train", train_command(folder, 1, num_threads)
        wanted = iterations_for(folder, env_steps)
    done = iterations_done(checkpoints)
    if done > wanted:
        raise UsageError(f"{folder}: got a run of {done} iterations, allowed: up to {wanted}, as many as are planned")
    if done < wanted:
        yield "train", train_command(folder, wanted, num_threads)
    evaluation = evaluation_path(planned, options)
    newest = max((path.stat().st_mtime_ns for path in checkpoints.iterdir()), default=0)
    if not evaluation.exists() or evaluation.stat().st_mtime_ns < newest:
        evaluation.parent.mkdir(parents=True, exist_ok=True)
        yield "evaluate", evaluate_command(planned, evaluation, options, num_threads)


def iterations_for(folder: Path, env_steps: int) -> int:
    """The iterations that take so many env steps, or just more: all take as many as the first one. At least 1."""
    _, rows = read_run(folder)
    return max(1, ceil(env_steps / rows[0]["env_steps"]))


def evaluation_path(planned: PlannedRun, options: Options) -> Path:
    """The run's evaluation JSON; evaluations of other options stand in other folders."""
    assert options.output
    asked = repr([getattr(options, name) for name in OF_EVALUATION])
    return options.output / "evaluations" / hashlib.sha256(asked.encode()).hexdigest()[:8] / f"{planned.name}.json"


def train_command(folder: Path, iterations: int, num_threads: int) -> list[str]:
    """Go on with a run that has a config.yaml."""
    flags = ["--resume", str(folder), "--iterations", str(iterations), "--num-threads", str(num_threads)]
    return [sys.executable, "-m", "maml_rl.train", *flags]


def evaluate_command(planned: PlannedRun, output: Path, options: Options, num_threads: int) -> list[str]:
    """Evaluate a run that is done."""
    flags = ["--output", str(output), "--num-threads", str(num_threads), "--device", planned.config.device]
    for name in OF_EVALUATION:
        if getattr(options, name) is not None:
            flags += [option_name(name), str(getattr(options, name))]
    if ":" in tasks_of(planned.config):
        flags += ["--env", tasks_of(planned.config)]  # allows that a class of the user's runs
    return [sys.executable, "-m", "maml_rl.evaluate", str(planned.folder), *flags]
