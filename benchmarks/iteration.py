"""Wall seconds of whole training iterations, split into collect, adapt and outer, in the preset of a family."""

import json
import statistics
from dataclasses import dataclass
from typing import Literal

import tyro

from benchmarks.measure import machine, peak_memory_gb
from maml_rl.machine.threads import use_threads
from maml_rl.options.config import Config, configure
from maml_rl.options.shipped import PRESETS
from maml_rl.options.wiring import choose_device, make_setting
from maml_rl.options.yaml_file import load_yaml
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate


@dataclass(frozen=True)
class Options:
    env: str = "halfcheetah-vel"
    variant: Literal["maml", "promp"] = "maml"
    num_tasks: int | None = None
    iterations: int = 4
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"


def measure(options: Options) -> dict[str, float]:
    """Medians over the iterations after the first."""
    values = {"variant": options.variant, "device": options.device, "physics": options.physics}
    values |= {"num_tasks": options.num_tasks} if options.num_tasks else {}
    config = configure(load_yaml(PRESETS / f"{options.env}.yaml", Config()), values)
    setting = make_setting(config)
    checkpoint = Checkpoint(setting.initial_state(), 0, 0).on(choose_device(config.device))
    rows = []
    for _ in range(options.iterations + 1):
        checkpoint, metrics = iterate(setting, checkpoint)
        rows.append(metrics)
    seconds = {
        part: statistics.median(float(row[f"time/{part}"]) for row in rows[1:])
        for part in ("collect", "adapt", "outer", "iteration")
    }
    steps = checkpoint.env_steps / len(rows)
    return {
        "num_tasks": config.num_tasks,
        **{f"{part}_seconds": round(value, 3) for part, value in seconds.items()},
        "env_steps_per_second": round(steps / seconds["iteration"]),
        "peak_memory_gb": round(peak_memory_gb(), 2),
    }


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    use_threads(0)
    setting = {"benchmark": "iteration", "env": options.env, "variant": options.variant, "physics": options.physics}
    print(json.dumps(setting | measure(options) | machine(choose_device(options.device))))
