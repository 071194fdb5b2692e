"""What crosses the network in an iteration, and how long iterations take, at 1 and 2 ranks on this machine.

Bytes are what one rank hands to torch.distributed; the cores are divided among the ranks.
"""

import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist

from benchmarks.command import run
from benchmarks.measure import machine, median_seconds
from benchmarks.train_flags import training_config
from maml_rl.envs.errors import WorkerError
from maml_rl.machine.ranks import Ranks, join_ranks
from maml_rl.machine.threads import num_cpus, use_threads
from maml_rl.options.config import RlConfig
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from maml_rl.schema.bounds import Count
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name

PROG = "python -m benchmarks.distributed"
TRAINED_WITH = ("env", "num_tasks", "device", "physics")  # options of maml_rl.train


@dataclass(frozen=True)
class Options:
    env: str = "halfcheetah-vel"
    ranks: tuple[Count, ...] = ()
    """Default: 1 and 2, but no more than there are CUDA devices if it runs on them."""
    num_tasks: Count | None = None
    iterations: Count = 3
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"


class Traffic:
    """Counts the calls of torch.distributed's collectives, and their bytes."""

    def __init__(self) -> None:
        self.calls, self.bytes = 0, 0
        for name in ("all_reduce", "broadcast", "all_gather", "all_gather_object", "broadcast_object_list", "barrier"):
            setattr(dist, name, self._counted(getattr(dist, name)))

    def _counted(self, collective: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            self.bytes += sum(each.nbytes for each in arguments if isinstance(each, torch.Tensor))
            return collective(*arguments, **options)

        return counted


def configuration(options: Options) -> RlConfig:
    """What maml_rl.train would train with. Raises UsageError."""
    return training_config(PROG, {name: getattr(options, name) for name in TRAINED_WITH}, [])


def measure(config: RlConfig, iterations: int, ranks: Ranks) -> dict[str, float]:
    """Medians over the iterations after the first, on one rank of those that torchrun has started."""
    device = choose_device(config.device, ranks.local_rank, ranks.local_size)
    ranks = ranks.on(device)
    num_threads = max(1, num_cpus() // ranks.local_size)
    use_threads(num_threads)
    setting = make_rl_setting(dataclasses.replace(config, num_threads=num_threads), ranks)
    checkpoint = Checkpoint(setting.initial_state(), 0, 0).on(device)
    traffic, rows = Traffic(), []
    for _ in range(iterations + 1):
        before = traffic.calls, traffic.bytes
        checkpoint, metrics = iterate(setting, checkpoint)
        rows.append(metrics | {"calls": traffic.calls - before[0], "bytes": traffic.bytes - before[1]})
    vector = checkpoint.state["theta"].double()
    [sum_seconds] = median_seconds(lambda: ranks.sum(vector), repeats=100, device=device)
    result = {name: statistics.median(float(row[name]) for row in rows[1:]) for name in ("calls", "bytes")}
    for part in ("collect", "adapt", "outer", "iteration"):
        result[f"{part}_seconds"] = round(statistics.median(float(row[f"time/{part}"]) for row in rows[1:]), 3)
    sizes = {"ranks": ranks.size, "threads_per_rank": num_threads, "num_tasks": config.num_tasks}
    return sizes | {"parameters": setting.model.num_parameters} | result | {"vector_sum_seconds": round(sum_seconds, 6)}


def default_ranks(device: torch.device) -> tuple[int, ...]:
    """1 and 2, as far as each rank has a device of its own; on the CPU the ranks share the cores."""
    return (1, 2) if device.type == "cpu" or torch.cuda.device_count() > 1 else (1,)


def measure_in_ranks(options: Options, size: int) -> dict[str, float]:
    """This very command under torchrun; what the first rank printed. Raises WorkerError if a rank failed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size), "-m"]
    command += ["benchmarks.distributed"]
    for name in (*TRAINED_WITH, "iterations"):
        if (value := getattr(options, name)) is not None:
            command += [option_name(name), str(value)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise WorkerError(f"of {size} ranks one failed, with status {done.returncode}; what it said stands above")
    row = json.loads(done.stdout)
    del row["benchmark"]
    return row


def result(options: Options, _: Sequence[str]) -> dict[str, Any]:
    config = configuration(options)
    device = choose_device(options.device)
    sizes = options.ranks or default_ranks(device)
    if max(sizes) > config.num_tasks:
        raise UsageError(f"--ranks: got {max(sizes)}, allowed: up to {config.num_tasks}, a task for each")
    rows = [measure_in_ranks(options, size) for size in sizes]
    return {"env": options.env, "results": rows} | machine(device)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    if not dist.is_torchelastic_launched():
        return run("distributed", Options, str(__doc__), result, argv)
    with join_ranks() as ranks:  # of which the first alone prints

        def of_one_rank(options: Options, _: Sequence[str]) -> dict[str, Any]:
            return measure(configuration(options), options.iterations, ranks)

        return run("distributed", Options, str(__doc__), of_one_rank, argv)


if __name__ == "__main__":
    sys.exit(main())
