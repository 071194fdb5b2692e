"""Wall seconds of training until the mean return after one gradient step on 40 validation tasks reaches a score.

python -m benchmarks.time_to_score --env halfcheetah-dir --score 293.2 -- --num-tasks 20

Options of maml_rl.train follow after --. A run ends at the score, at --max-seconds, or after the preset's iterations.
Its seconds are those of the meta-updates; validations and the start of the process do not count.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch

from benchmarks.command import run
from benchmarks.measure import machine, synchronize
from benchmarks.train_flags import training_config
from maml_rl.interface.first_state import first_state
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.machine.threads import num_cpus, use_threads
from maml_rl.meta.algorithm import State
from maml_rl.options.config import RlConfig
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import RlSetting, make_rl_setting
from maml_rl.reports.evaluation import adapt_and_roll_out
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from maml_rl.schema.bounds import Count, Within

VALIDATION_TASKS = 40
PROG = "python -m benchmarks.time_to_score"


@dataclass(frozen=True)
class Options:
    env: str = "navigation-2d"
    score: float = -11.7
    """Mean return after one gradient step that is wanted."""
    preset: str | None = None
    seed: int = 1
    max_seconds: Annotated[float, Within(0)] = 1800
    """Most seconds of training."""
    every: Count = 5
    """Iterations between validations."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"
    """Without effect on families that MuJoCo does not simulate. So that all benchmarks take the same options."""


def timed(device: torch.device, function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and its wall seconds."""
    start = time.perf_counter()
    result = function()
    synchronize(device)
    return result, time.perf_counter() - start


def validate(setting: RlSetting, state: State) -> list[float]:
    """Mean returns over the validation tasks, before adaptation and after one gradient step."""
    config = setting.config
    tasks = setting.family.sample_tasks(config.num_tasks, keyed(Purpose.VALIDATION_TASKS, config.seed))
    rollouts = setting.problem(tasks, Draws(Purpose.VALIDATION_EPISODES, config.seed))
    return adapt_and_roll_out(setting.algorithm, state, rollouts, 1).returns().nanmean(dim=1).tolist()


def measure(config: RlConfig, score: float, max_seconds: float, every: int) -> dict[str, Any]:
    """Train until a validation reaches the score, or the time or the iterations are over; these get a last one."""
    device = choose_device(config.device)
    setting, held_out = make_rl_setting(config), make_rl_setting(replace(config, num_tasks=VALIDATION_TASKS))
    checkpoint = Checkpoint(first_state(setting), 0, 0).on(device)

    seconds = validation_seconds = 0.0
    rows: list[dict[str, float]] = []
    while True:
        over = checkpoint.iteration >= config.iterations or seconds >= max_seconds
        if over or checkpoint.iteration % every == 0:
            (pre, post), spent = timed(device, lambda at=checkpoint: validate(held_out, at.state))
            validation_seconds += spent
            rows.append({"iteration": checkpoint.iteration, "seconds": round(seconds, 2), "pre": pre, "post": post})
            print(f"iteration {checkpoint.iteration}, {seconds:.1f} s: {pre:.1f} -> {post:.1f}", file=sys.stderr)
            if over or post >= score:
                break
        (checkpoint, _), spent = timed(device, lambda at=checkpoint: iterate(setting, at))
        seconds += spent
    return {
        "reached": rows[-1]["post"] >= score,
        "seconds": round(seconds, 2),
        "validation_seconds": round(validation_seconds, 2),
        "iterations": checkpoint.iteration,
        "env_steps": checkpoint.env_steps,
        "returns": [row | {key: round(row[key], 2) for key in ("pre", "post")} for row in rows],
        "validation_tasks": VALIDATION_TASKS,
        "validation_episodes": config.episodes_per_task,
    }


def result(options: Options, flags: Sequence[str]) -> dict[str, Any]:
    load = f"{os.getloadavg()[0]:.1f}"
    given = {name: getattr(options, name) for name in ("env", "preset", "seed", "device", "physics")}
    config = training_config(PROG, given, flags)
    use_threads(config.num_threads)
    measured = measure(config, options.score, options.max_seconds, options.every)
    setting = {"env": config.env, "preset": options.preset, "flags": " ".join(flags)}
    setting |= {"seed": config.seed, "score": options.score}
    here = {"num_threads": config.num_threads or num_cpus(), "load_at_start": load}
    return setting | measured | here | machine(choose_device(config.device))


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 0 whether or not the score was reached, 2 bad input."""
    return run("time_to_score", Options, str(__doc__), result, argv, trains=True)


if __name__ == "__main__":
    sys.exit(main())
