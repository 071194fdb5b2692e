"""Every benchmark runs, at a size that measures nothing, and prints one JSON object."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "sampling": "--num-tasks 2 --episodes-per-task 2 --horizon 5 --repeats 1",
    "outer_step": "--num-tasks 2 --steps-per-task 40 --hidden-sizes 8 --repeats 1",
    "iteration": "--env navigation-2d --num-tasks 2 --iterations 1",
    "scaling": "--env navigation-2d --tasks 2 --iterations 1",
    "worlds": "--worlds 4 --horizon 5 --repeats 1",
    "distributed": "--env navigation-2d --num-tasks 2 --iterations 1 --ranks 1",
}


def test_none_is_left_out() -> None:
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"measure", "time_to_score", "__init__"}
    assert names == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_it_prints_one_object(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *TINY[name].split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["benchmark"] == name
