"""Several ranks, by the real torchrun: they learn what one process learns, and end together."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from maml_rl.machine.ranks import Ranks, join_ranks
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from maml_rl.train import main
from tests.maml_rl.test_train import checkpoint_bytes, metrics, without_times

ROOT = Path(__file__).resolve().parents[3]
RANK = Path(__file__).with_name("rank_for_tests.py")
SMALL = [  # five tasks, which neither two nor four ranks divide evenly
    *("--env", "halfcheetah-vel", "--num-tasks", "5", "--episodes-per-task", "2", "--horizon", "30"),
    *("--hidden-sizes", "8", "--cg-iterations", "3", "--device", "cpu", "--checkpoint-every", "2", "--keep-best"),
]


def torchrun(folder: Path, ranks: int, faults: list, *arguments: str, restarts: int = 0) -> subprocess.Popen:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command += [f"--max-restarts={restarts}", str(RANK), json.dumps(faults), *SMALL, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def ends(process: subprocess.Popen) -> tuple[list[int], list[str]]:
    """Exit statuses of the ranks that failed, and what the ranks, not torchrun, have printed."""
    _, stderr = process.communicate(timeout=120)
    lines = [line for line in stderr.splitlines() if line.startswith(("maml_rl", "halfcheetah", "writing", "[rank"))]
    return [int(status) for status in re.findall(r"exitcode  : (-?\d+)", stderr)], lines


def assert_same_parameters(one: Path, other: Path, iteration: int) -> None:
    first, second = (
        torch.cat([tensor.flatten() for tensor in checkpoint_bytes(run, iteration).values()]) for run in (one, other)
    )
    assert (first - second).norm() <= 1e-5 * first.norm()


def test_killed_ranks_start_again_and_any_number_of_ranks_gives_the_same(tmp_path) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert main([*SMALL, "--run-dir", str(alone), "--iterations", "5"]) == 0

    faults = [["kill", 0, 1, 1], ["kill", 1, 0, 3]]  # a rank, and after the restart the one that writes
    failed, lines = ends(torchrun(tmp_path, 2, faults, "--run-dir", "killed", "--iterations", "4", restarts=2))
    assert failed == [], lines
    assert sum(line.startswith("writing") for line in lines) == 3
    assert_same_parameters(alone, killed, 4)

    resume = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4", "-m"]
    resume += ["maml_rl.train", "--resume", str(killed), "--iterations", "5"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(resume, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert len(re.findall("return on validation tasks", done.stderr)) == 1  # one rank prints
    assert_same_parameters(alone, killed, 5)

    rows, wanted = without_times(metrics(killed)), without_times(metrics(alone))
    assert [row["iteration"] for row in rows] == [0, 1, 2, 3, 4]  # no gap, no duplicate
    for row, expected in zip(rows, wanted, strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_bad_input_ends_every_rank_with_one_line(tmp_path) -> None:
    others = torchrun(tmp_path, 2, [], "--seed", "RANK")  # each rank's own number
    more = torchrun(tmp_path, 2, [], "--num-tasks", "1")
    failed, lines = ends(others)
    assert failed == [2, 2]
    assert lines == ["maml_rl.train: --seed: got 1 on rank 1, allowed: 0, as rank 0 has it"]
    failed, lines = ends(more)
    assert failed == [2, 2]
    assert lines == ["maml_rl.train: --num-tasks: got 1, allowed: >= 2, as there are so many ranks"]
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_one_rank_ends_all(tmp_path) -> None:
    start = time.monotonic()
    failed, lines = ends(torchrun(tmp_path, 2, [["user", 0, 1, 1]], "--run-dir", "run", "--iterations", "100000"))
    assert time.monotonic() - start < 60  # most of it imports; nobody waits for a timeout of 30 minutes
    assert sorted(failed) == [2, 143]  # torchrun has ended the other one
    assert "maml_rl.train: fault of rank 1" in lines
    assert not any("Error" in line for line in lines)  # the other rank's broken connection is not what went wrong
    assert (tmp_path / "run" / "checkpoints" / "iteration-000001.safetensors").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and only Linux tells a child of its parent's end")
def test_no_rank_outlives_torchrun(tmp_path) -> None:
    process = torchrun(tmp_path, 2, [], "--run-dir", "run", "--iterations", "100000")
    deadline = time.monotonic() + 90
    while not (tmp_path / "run" / "metrics.jsonl").exists() or not metrics(tmp_path / "run"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    _, stderr = process.communicate(timeout=60)  # the ranks hold the other end: it comes back when they are gone
    assert "go on with" in stderr


def test_shares_follow_one_another_and_differ_by_one_at_most() -> None:
    for size, num_tasks in [(1, 1), (2, 5), (4, 5), (3, 9), (5, 5), (64, 100)]:
        shares = [Ranks(rank, size).share(num_tasks) for rank in range(size)]
        assert [task for share in shares for task in range(share.start, share.stop)] == list(range(num_tasks))
        counts = {share.stop - share.start for share in shares}
        assert max(counts) - min(counts) <= 1
        assert min(counts) > 0


@pytest.fixture
def one_rank(monkeypatch):
    """This process as the only rank of a torchrun."""
    launcher = dist.TCPStore("localhost", 0, is_master=True)  # pyright: ignore[reportPrivateImportUsage]
    values = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "MASTER_ADDR": "localhost"}
    values |= {"MASTER_PORT": launcher.port, "TORCHELASTIC_RUN_ID": "test"}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    with join_ranks() as ranks:
        yield ranks


def test_vectors_of_p_numbers_cross_the_network_and_nothing_else(one_rank, monkeypatch) -> None:
    config = RlConfig(num_tasks=2, episodes_per_task=3, horizon=10, hidden_sizes=(7,))
    config = configure(config, {"cg_iterations": 4, "inner_steps": 2})
    setting, alone = make_rl_setting(config, one_rank), make_rl_setting(config)
    sizes: list[int] = []
    real = dist.all_reduce

    def all_reduce(tensor, *arguments, **options):
        sizes.append(tensor.numel())
        return real(tensor, *arguments, **options)

    def forbidden(*_, **__):
        raise AssertionError("another collective")

    others = ["all_gather", "all_gather_object", "all_to_all", "barrier", "broadcast", "broadcast_object_list"]
    for name in [*others, "gather", "gather_object", "reduce", "reduce_scatter", "scatter", "send", "recv", "isend"]:
        monkeypatch.setattr(dist, name, forbidden)
    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    start = Checkpoint(alone.initial_state(), 0, 0)
    after, row = iterate(setting, start)

    P = setting.model.num_parameters
    evaluations = row["line_search/backtracks"] + row["line_search/accepted"]
    gradient_and_products, metrics_of_rollouts = [1 + P] + [P] * config.algorithm_options.cg_iterations, [3 * 13]
    line_search, inner_kl = [2] * evaluations, [1]
    assert sorted(sizes) == sorted(gradient_and_products + line_search + metrics_of_rollouts + inner_kl)

    after_alone, row_alone = iterate(alone, start)
    assert torch.equal(after.state["theta"], after_alone.state["theta"])
    assert without_times([row]) == without_times([row_alone])


def test_a_rank_without_figures_leaves_none_waiting(tmp_path) -> None:
    small = ["--no-keep-best", "--run-dir", "run", "--iterations", "1"]
    failed, lines = ends(torchrun(tmp_path, 2, [["figures", 0, 1, 1]], *small))
    assert failed == [], lines
    assert len(metrics(tmp_path / "run")) == 1
