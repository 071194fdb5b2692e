"""Iteration time and peak memory at 10, 20, 40, 80 and 160 tasks, in the preset of a family."""

import json
from dataclasses import dataclass, replace
from typing import Literal

import tyro

from benchmarks import iteration
from benchmarks.measure import machine
from maml_rl.machine.threads import use_threads
from maml_rl.options.parts import choose_device


@dataclass(frozen=True)
class Options:
    env: str = "halfcheetah-vel"
    tasks: tuple[int, ...] = (10, 20, 40, 80, 160)
    iterations: int = 2
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    use_threads(0)
    base = iteration.Options(env=options.env, device=options.device, physics=options.physics)
    # In growing order: the peak memory of the process is then that of the largest so far.
    configs = [iteration.configuration(replace(base, num_tasks=num_tasks)) for num_tasks in sorted(options.tasks)]
    rows = [iteration.measure(config, options.iterations) for config in configs]
    for row in rows:
        row["seconds_per_task"] = round(row["iteration_seconds"] / row["num_tasks"], 4)
    setting = {"benchmark": "scaling", "env": options.env, "results": rows}
    print(json.dumps(setting | machine(choose_device(options.device))))
