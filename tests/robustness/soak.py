"""Runs that are killed again and again end where a run ends that was never stopped, bit for bit.

python -m tests.robustness.soak --minutes 30

Trains small runs, ends each at random moments by SIGKILL, SIGTERM, SIGINT or a full disk, resumes it until it is done,
and compares its parameters and metrics with those of a straight run. Meanwhile one run goes on, whose memory and
open files are watched. Prints a line for each run, and one JSON object in the end. Linux only.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import safetensors.torch
import torch
import tyro

ROOT = Path(__file__).resolve().parents[2]
SIZE = "--num-tasks 4 --episodes-per-task 4 --num-threads 1 --device cpu --checkpoint-every 3"
# Name, options and iterations of each run: about ten seconds if nothing ends it.
RUNS = {
    "navigation-2d": (f"--env navigation-2d {SIZE} --horizon 100 --keep-best --validate-every 7", 200),
    "halfcheetah-vel": (f"--env halfcheetah-vel {SIZE} --horizon 50", 120),
    "user class": (f"--env tests.envs.tasks_for_tests:Tasks {SIZE} --horizon 20", 150),
}
WATCHED = f"--env navigation-2d {SIZE}0 --horizon 50 --keep-best --validate-every 50 --iterations 100000000"
# A way to end a run, and the exit status that the run must have then: also before Python handles signals.
ENDS = {
    "SIGKILL": {-signal.SIGKILL},
    "SIGTERM": {128 + signal.SIGTERM, -signal.SIGTERM},
    "SIGINT": {128 + signal.SIGINT, -signal.SIGINT},
    "full disk": {1},
}


@dataclass(frozen=True)
class Options:
    minutes: float = 30.0
    """How long to go on; the run under way is finished."""
    seed: int = 1
    """Of the moments and ways of the ends."""


class Broken(AssertionError):
    """A run that did not keep its promise."""


def start(arguments: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "maml_rl.train", *arguments.split()]
    # Where a shell runs this in the background, its children begin with SIGINT ignored.
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def end(process: subprocess.Popen[str], way: str) -> None:
    """End a process. A full disk: from now on no file of its may grow."""
    if way == "full disk":
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))
    else:
        process.send_signal(getattr(signal, way))


def kill_and_resume(
    name: str, run_dir: Path, choice: random.Random, kills: Counter[str], between: Callable[[], None]
) -> None:
    """Train a run to its end, over random ends. Counts the kills, and calls `between` after each. Raises Broken."""
    options, iterations = RUNS[name]
    while True:
        begun = (run_dir / "config.yaml").exists()
        # A run that was killed before its first checkpoint begins anew, in the same folder.
        where = f"--resume {run_dir}" if begun else f"{options} --iterations {iterations} --run-dir {run_dir}"
        # To a pipe: a file of it could not grow either.
        process = start(where, subprocess.PIPE)
        way, moment, survived = choice.choice(list(ENDS)), choice.uniform(0.5, 10.0), ""
        try:
            _, said = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            end(process, way)
            survived = way
            _, said = process.communicate(timeout=120)
        status = process.returncode
        # A library's helper process may complain that its parent was killed.
        failed = "Traceback" in said and status != -signal.SIGKILL
        if failed or (survived and status not in ENDS[way] | {0}) or (not survived and status):
            raise Broken(f"{name}: status {status} after {survived or 'no signal'}:\n{said}")
        if survived:
            kills[way] += 1
            between()
        if status == 0:
            left = [path.name for path in run_dir.rglob(".*")]
            if left:
                raise Broken(f"{name}: {left} are left")
            return


def final_state(run_dir: Path, iterations: int) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The last parameters, and the metrics but for times."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    rows = [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]
    return safetensors.torch.load_file(run_dir / "checkpoints" / f"iteration-{iterations:06d}.safetensors"), rows


def check_same(name: str, straight: Path, killed: Path) -> None:
    """Raise Broken unless two runs have the same parameters and metrics, to the last bit."""
    (state, rows), (other, other_rows) = (final_state(each, RUNS[name][1]) for each in (straight, killed))
    if state.keys() != other.keys() or not all(torch.equal(state[key], other[key]) for key in state):
        raise Broken(f"{name}: other parameters than those of a straight run")
    if rows != other_rows:
        first = next(i for i, (a, b) in enumerate(zip(rows, other_rows, strict=False)) if a != b)
        raise Broken(f"{name}: other metrics from iteration {first} on: {rows[first]} and {other_rows[first]}")


class Watch:
    """The memory and the open files of a run that is left alone."""

    def __init__(self, run_dir: Path) -> None:
        self._process = start(f"{WATCHED} --run-dir {run_dir}")
        self._seen = psutil.Process(self._process.pid)
        self._start = time.monotonic()
        self._samples: list[tuple[float, float, int]] = []  # hours, MB, open files
        self._rows = run_dir / "metrics.jsonl"

    def sample(self) -> None:
        hours = (time.monotonic() - self._start) / 3600
        self._samples.append((hours, self._seen.memory_info().rss / 1e6, self._seen.num_fds()))

    def end(self) -> dict[str, Any]:
        """Stop the run. Slopes are over the second half of the time: what a process takes at first it keeps."""
        iterations = sum(1 for _ in self._rows.open())
        self._process.terminate()
        self._process.wait(60)
        later = self._samples[len(self._samples) // 2 :]
        hours, memory, files = np.array(later).T
        slope = np.polyfit(hours, memory, 1)[0] if len(later) > 2 else float("nan")
        return {
            "watched_iterations": iterations,
            "memory_mb": [round(memory[0], 1), round(memory[-1], 1)],
            "memory_mb_per_hour": round(float(slope), 2),
            "memory_kb_per_iteration": round(float(slope) * hours[-1] / max(1, iterations) * 1e3, 4),
            "open_files": [int(files.min()), int(files.max())],
        }


def main() -> int:
    options = tyro.cli(Options, description=__doc__)
    choice, kills, compared = random.Random(options.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="maml_rl-soak-") as temporary:
        folder = Path(temporary)
        for name, (arguments, iterations) in RUNS.items():
            run_dir = folder / name.replace(" ", "-")
            if start(f"{arguments} --iterations {iterations} --run-dir {run_dir}").wait():
                raise Broken(f"{name}: the straight run failed")
        watch = Watch(folder / "watched")
        deadline = time.monotonic() + 60 * options.minutes
        try:
            while time.monotonic() < deadline:
                name = list(RUNS)[compared % len(RUNS)]
                killed = folder / "killed"
                before = kills.total()
                kill_and_resume(name, killed, choice, kills, between=watch.sample)
                check_same(name, folder / name.replace(" ", "-"), killed)
                shutil.rmtree(killed)
                compared += 1
                print(f"{name}: the same after {kills.total() - before} kills; {kills.total()} in all", flush=True)
        finally:
            watched = watch.end()
    result = {"kills": dict(kills), "kills_survived": kills.total(), "runs_compared": compared} | watched
    print(json.dumps({"soak_minutes": options.minutes, "cpus": os.cpu_count()} | result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
