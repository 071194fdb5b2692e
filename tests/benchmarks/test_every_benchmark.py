"""Every benchmark runs, at a size that measures nothing, and prints one JSON object."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import iteration
from benchmarks.distributed import default_ranks
from benchmarks.worlds import kernel_seconds

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "sampling": "--num-tasks 2 --episodes-per-task 2 --horizon 5 --repeats 1",
    "outer_step": "--num-tasks 2 --steps-per-task 40 --hidden-sizes 8 --repeats 1",
    "iteration": "--env navigation-2d --num-tasks 2 --iterations 1 --algorithm promp -- --horizon 5",
    "scaling": "--env navigation-2d --tasks 2 --iterations 1",
    "worlds": "--worlds 4 --horizon 5 --repeats 1",
    "meta_gradient_variance": "--env bandit --iterations 1 --tasks 2 --episodes 2 --draws 3",
    "omniglot": "--num-tasks 2 --filters 4 --repeats 1",
    "distributed": "--env navigation-2d --num-tasks 2 --iterations 1 --ranks 1 2",
    "time_to_score": "--score -1000 -- --num-tasks 2 --episodes-per-task 2 --horizon 5",
}


def test_none_is_left_out() -> None:
    others = {"command", "measure", "train_flags", "__init__"}
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - others == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_it_prints_one_object(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *TINY[name].split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["benchmark"] == name


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--nonsense", "1"], ["--nonsense", "unknown option"]),
        (["--device", "gpu"], ["--device", "'gpu'", "cuda"]),
    ],
)
def test_bad_input_is_one_line(capsys, name, arguments, parts) -> None:
    assert importlib.import_module(f"benchmarks.{name}").main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith(f"benchmarks.{name}: ")
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("name", "arguments", "parts"),
    [
        ("sampling", ["--env", "navigation-2d"], ["--env", "'navigation-2d'", "ant-dir"]),
        ("worlds", ["--env", "halfcheeta-vel"], ["--env", "nearest: halfcheetah-vel"]),
        ("scaling", ["--tasks", "0"], ["--tasks", "0", ">= 1"]),
        ("scaling", ["--tasks"], ["--tasks", "no value", "one or more"]),
        ("meta_gradient_variance", ["--env"], ["--env", "no value"]),
        ("worlds", ["--worlds", "1000000"], ["GB", "free"]),
        ("sampling", ["--num-tasks", "1000000"], ["GB", "free"]),
        ("outer_step", ["--num-tasks", "1000000"], ["GB", "free"]),
        ("outer_step", ["--steps-per-task", "1"], ["--curvature-stride", "10", "up to the 1"]),
        ("distributed", ["--num-tasks", "1", "--ranks", "2"], ["--ranks", "2", "up to 1"]),
        ("iteration", ["--", "nonsense"], ["'nonsense'", "behind --"]),
        ("outer_step", ["--repeats", "0"], ["--repeats", "0", ">= 1"]),
        ("outer_step", ["--", "--inner-lr", "1"], ["--inner-lr", "not allowed behind --"]),
        ("distributed", ["--env", "navigation-3d"], ["--env", "nearest: navigation-2d"]),
        ("meta_gradient_variance", ["--draws", "2"], ["--draws", "2", ">= 3"]),
        ("omniglot", ["--ways", "x"], ["--ways", "'x'"]),
    ],
)
def test_bad_values_are_one_line(capsys, name, arguments, parts) -> None:
    test_bad_input_is_one_line(capsys, name, arguments, parts)


@pytest.mark.parametrize(("device", "devices", "ranks"), [("cpu", 0, (1, 2)), ("cuda", 1, (1,)), ("cuda", 8, (1, 2))])
def test_each_rank_has_a_device(monkeypatch, device: str, devices: int, ranks: tuple[int, ...]) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    assert default_ranks(torch.device(device)) == ranks


def test_the_profiler_does_not_warn() -> None:
    assert all(seconds >= 0 for seconds in kernel_seconds(lambda: torch.ones(2) + 1).values())


def test_an_iteration_is_that_of_the_algorithm_and_the_preset() -> None:
    options = iteration.Options("halfcheetah-dir", algorithm="promp", preset="promp", num_tasks=3)
    config = iteration.configuration(options, ["--inner-lr", "0.3"])
    assert (config.algorithm, config.variant, config.horizon, config.num_tasks) == ("promp", "promp", 100, 3)
    assert config.algorithm_options.inner_lr == 0.3
    assert iteration.configuration(iteration.Options("navigation-2d", physics="warp")).physics == "auto"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--iterations", "0"], ["--iterations", "0", ">= 1"]),
        (["--env", "navigation-2d", "--preset", "promp"], ["--preset", "maml-paper"]),
        (["--", "--run-dir", "x"], ["--run-dir", "not allowed here"]),
        (["--algorithm", "maml", "--", "--clip", "1"], ["--clip", "promp"]),
    ],
)
def test_bad_input_of_iteration_is_one_line(capsys, arguments, parts) -> None:
    assert iteration.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert all(part in line for part in parts), line
