"""Iteration time and peak memory at 10, 20, 40, 80 and 160 tasks, in the preset of a family."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from benchmarks import iteration
from benchmarks.command import run
from benchmarks.measure import machine
from maml_rl.machine.threads import use_threads
from maml_rl.options.parts import choose_device
from maml_rl.schema.bounds import Count


@dataclass(frozen=True)
class Options:
    env: str = "halfcheetah-vel"
    tasks: tuple[Count, ...] = (10, 20, 40, 80, 160)
    iterations: Count = 2
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"


def result(options: Options, _: Sequence[str]) -> dict[str, Any]:
    use_threads(0)
    base = iteration.Options(env=options.env, device=options.device, physics=options.physics)
    # In growing order: the peak memory of the process is then that of the largest so far.
    configs = [iteration.configuration(replace(base, num_tasks=num_tasks)) for num_tasks in sorted(options.tasks)]
    rows = [iteration.measure(config, options.iterations) for config in configs]
    for row in rows:
        row["seconds_per_task"] = round(row["iteration_seconds"] / row["num_tasks"], 4)
    return {"env": options.env, "results": rows} | machine(choose_device(options.device))


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    return run("scaling", Options, str(__doc__), result, argv)


if __name__ == "__main__":
    sys.exit(main())
