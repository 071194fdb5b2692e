"""Wall seconds of whole training iterations, split into collect, adapt and outer: of any algorithm, family and preset.

python -m benchmarks.iteration --env halfcheetah-dir --algorithm promp --preset promp -- --num-threads 1

Options of maml_rl.train follow after --. A part that an algorithm does not have takes 0 s.
"""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.command import run
from benchmarks.measure import machine, peak_memory_gb
from benchmarks.train_flags import training_config
from maml_rl.interface.first_state import first_state
from maml_rl.machine.threads import num_cpus, use_threads
from maml_rl.options.config import RlConfig
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from maml_rl.schema.bounds import Count

PROG = "python -m benchmarks.iteration"
TRAINED_WITH = ("env", "algorithm", "preset", "variant", "num_tasks", "device", "physics")  # options of maml_rl.train


@dataclass(frozen=True)
class Options:
    env: str = "halfcheetah-vel"
    algorithm: str | None = None
    preset: str | None = None
    variant: Literal["maml", "promp"] | None = None
    num_tasks: int | None = None
    iterations: Count = 4
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"
    """Without effect on families that MuJoCo does not simulate. So that all benchmarks take the same options."""


def configuration(options: Options, flags: Sequence[str] = ()) -> RlConfig:
    """What maml_rl.train would train with. Raises UsageError."""
    return training_config(PROG, {name: getattr(options, name) for name in TRAINED_WITH}, flags)


def measure(config: RlConfig, iterations: int) -> dict[str, float]:
    """Medians over the iterations after the first."""
    setting = make_rl_setting(config)
    checkpoint = Checkpoint(first_state(setting), 0, 0).on(choose_device(config.device))
    rows = []
    for _ in range(iterations + 1):
        checkpoint, metrics = iterate(setting, checkpoint)
        rows.append(metrics)
    seconds = {
        part: statistics.median(float(row.get(f"time/{part}", 0)) for row in rows[1:])
        for part in ("collect", "adapt", "outer", "iteration")
    }
    steps = checkpoint.env_steps / len(rows)
    return {
        "num_tasks": config.num_tasks,
        **{f"{part}_seconds": round(value, 3) for part, value in seconds.items()},
        "env_steps_per_second": round(steps / seconds["iteration"]),
        "peak_memory_gb": round(peak_memory_gb(), 2),
    }


def result(options: Options, flags: Sequence[str]) -> dict[str, Any]:
    config = configuration(options, flags)
    use_threads(config.num_threads)
    measured = measure(config, options.iterations)
    setting: dict[str, Any] = {"env": config.env, "algorithm": config.algorithm, "preset": options.preset}
    setting |= {"variant": config.variant, "physics": options.physics}
    setting |= {"flags": " ".join(flags), "num_threads": config.num_threads or num_cpus()}
    return setting | measured | machine(choose_device(config.device))


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    return run("iteration", Options, str(__doc__), result, argv, trains=True)


if __name__ == "__main__":
    sys.exit(main())
