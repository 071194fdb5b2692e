"""A class of the user's, through the commands and the Python interface: the documented example, and failing ones."""

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import maml_rl
from maml_rl import evaluate
from maml_rl.envs import KeyedGenerator, make_family
from maml_rl.machine.ranks import Ranks
from maml_rl.options.config import RlConfig
from maml_rl.options.rl_wiring import RlSetting, make_rl_setting
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from maml_rl.train import main
from tests.envs.tasks_for_tests import NAME
from tests.maml_rl.test_train import TINY, assert_same_tensors, checkpoint_bytes, metrics, without_times
from tests.test_docs import ROOT, examples

ENV = "my_module:MyTasks"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the documentation's examples lie, and where the commands are run."""
    for example in examples("docs/own-tasks.md"):
        head, *lines = example.splitlines()
        assert len(lines) < 40
        path = tmp_path / head.removeprefix("# ")
        path.write_text(example)
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str, env: str = ENV) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "maml_rl.train", "--env", env, *TINY, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        # Where a shell runs the tests in the background, they and their children begin with SIGINT ignored.
        preexec_fn=None if os.name == "nt" else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of its worker processes."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is not waiting to be reaped."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_readme_s_example_trains_resumes_and_evaluates(folder, capsys) -> None:
    process = command("--iterations", "2")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert all(line.startswith(("writing to", "the first policy", ENV)) for line in stderr.splitlines()), stderr
    [run] = (folder / "runs").iterdir()
    assert run.name.startswith("my_module.MyTasks-1-")
    assert main(["--resume", str(run), "--iterations", "3"]) == 0
    assert main(["--env", ENV, *TINY, "--iterations", "3", "--run-dir", "whole"]) == 0
    assert without_times(metrics(run)) == without_times(metrics(Path("whole")))
    assert_same_tensors(checkpoint_bytes(run, 3), checkpoint_bytes(Path("whole"), 3))
    assert "success/pre" not in metrics(run)[0]

    capsys.readouterr()
    arguments = [str(run), "--tasks", "2", "--gradient-steps", "1", "--num-threads", "1"]
    assert evaluate.main([*arguments, "--env", ENV]) == 0
    assert f"{ENV}: 2 tasks" in capsys.readouterr().out
    if not importlib.util.find_spec("pygame"):  # with which Gymnasium draws its cart-poles
        assert evaluate.main([*arguments, "--env", ENV, "--video", "no.gif"]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert "no video: my_module:MyTasks: an exception in render (DependencyNotInstalled: pygame is not" in line
    policy = maml_rl.load(run, env=ENV)
    adapted = maml_rl.adapt(policy, 0.5, episodes=2)
    assert not torch.equal(adapted.theta, policy.theta)
    assert maml_rl.roll_out(adapted, 0.5, episodes=2).mean_return() > 1


def test_other_tasks_of_a_built_in_family(folder) -> None:
    env = "fast_cheetahs:FastCheetahs"
    assert make_family(env).sample_tasks(20, KeyedGenerator(0)).max() > 2.5  # m/s; the family's own go to 2
    assert main(["--env", env, *TINY, "--iterations", "1", "--run-dir", "run"]) == 0
    assert len(metrics(Path("run"))) == 1
    policy = maml_rl.load("run", env=env)
    slow, fast = (maml_rl.roll_out(policy, speed, episodes=2).mean_return() for speed in (0.0, 4.0))
    assert slow - fast > 20  # 10 steps of an untrained policy, which stands


def test_a_checkpoint_alone_runs_no_code(folder, capsys) -> None:
    assert main(["--env", ENV, *TINY, "--iterations", "0", "--run-dir", "run"]) == 0
    del sys.modules["my_module"]
    (folder / "my_module.py").write_text("raise SystemExit('stolen')")
    capsys.readouterr()
    assert evaluate.main(["run"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--env {ENV}" in line
    with pytest.raises(ValueError, match="a checkpoint alone does not run"):
        maml_rl.load("run")
    with pytest.raises(ValueError, match="got 'other:Class', allowed: 'my_module:MyTasks'"):
        maml_rl.load("run", env="other:Class")


def test_an_episode_that_says_nothing_has_not_met_its_task(tmp_path, capsys) -> None:
    env, run, output = f"{NAME}:OnlyHits", tmp_path / "run", tmp_path / "evaluation.json"
    assert main(["--env", env, *TINY, "--iterations", "1", "--run-dir", str(run)]) == 0
    assert 0 < metrics(run)[0]["success/pre"] < 1
    capsys.readouterr()
    arguments = ["--tasks", "4", "--gradient-steps", "1", "--num-threads", "1", "--output", str(output)]
    assert evaluate.main([str(run), "--env", env, *arguments]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()[2:]
    assert heading.endswith("success")
    [result] = json.loads(output.read_text())["results"]
    for k, row in enumerate(rows):
        rates = [each["success_rates"][k] for each in result["per_task"]]
        assert set(rates) == {0.0, 1.0}  # met at the fifth step, by the tasks that last as long
        assert result["success_rate"][k] == pytest.approx(sum(rates) / 4)
        assert row.endswith(f" {sum(rates) / 4:.0%}")


@pytest.mark.parametrize("name", ["Balanced", "Tasks"])
def test_ranks_share_the_tasks_that_one_rank_draws(name, monkeypatch) -> None:
    given: list[torch.Tensor] = []
    real = RlSetting.problem

    def rollouts(self, tasks, *arguments):
        given.append(tasks)
        return real(self, tasks, *arguments)

    monkeypatch.setattr(RlSetting, "problem", rollouts)
    config = RlConfig(
        env=f"{NAME}:{name}", num_tasks=6, episodes_per_task=1, horizon=3, hidden_sizes=(4,), num_threads=1
    )
    for ranks in (Ranks(), Ranks(0, 2), Ranks(1, 2)):
        setting = make_rl_setting(config, ranks)
        iterate(setting, Checkpoint(setting.initial_state(), 0, 0))
    whole, *shares = given
    assert torch.equal(whole, torch.cat(shares))
    assert len(whole) == 6


def test_success_is_reported(tmp_path) -> None:
    assert main(["--env", f"{NAME}:Tasks", *TINY, "--iterations", "1", "--run-dir", str(tmp_path / "run")]) == 0
    [row] = metrics(tmp_path / "run")
    assert row["success/pre"] == row["success/post"] == 1


@pytest.mark.parametrize("name", ["ManyActions", "Buttons", "Parts"])
def test_other_spaces_train(tmp_path, name) -> None:
    env = f"{NAME}:{name}"
    assert main(["--env", env, *TINY, "--iterations", "2", "--run-dir", str(tmp_path / "run")]) == 0
    rows = metrics(tmp_path / "run")
    policy = maml_rl.load(tmp_path / "run", env=env)
    actions = [policy.act(np.zeros(policy.policy.observation_size), seed=seed) for seed in range(50)]
    if name == "Parts":
        assert rows[1]["policy/std"] > 0
        return
    sizes = policy.policy.choices
    assert 0 < rows[1]["policy/entropy"] <= sum(map(math.log, sizes))
    assert np.min(actions, axis=0).tolist() == [0] * len(sizes)
    assert np.max(actions, axis=0).tolist() == [size - 1 for size in sizes]
    assert actions[0].dtype == np.int64


@pytest.mark.parametrize(
    ("name", "status", "part"),
    [
        ("Raises", 1, "UnpicklableError: the gripper is stuck"),
        ("Killed", 1, "a worker process was killed by SIGKILL"),
        ("NanReward", 2, "step gave a reward that is NaN"),
    ],
)
def test_a_failure_leaves_a_checkpoint_to_go_on_from(tmp_path, capsys, name, status, part) -> None:
    run = tmp_path / "run"
    assert main(["--env", f"{NAME}:{name}", *TINY, "--iterations", "9", "--run-dir", str(run)]) == status
    stderr = capsys.readouterr().err
    assert part in stderr.splitlines()[-1]
    assert stderr.count("Traceback") == (name == "Raises")
    if name == "Killed":  # in its first step, before anything is written
        assert not run.exists()
        return
    done = len(metrics(run))
    assert (done > 0) == (name == "Raises")  # its environments fail at their 25th step, after an iteration
    assert (run / "checkpoints" / f"iteration-{done:06d}.safetensors").exists()


@pytest.mark.parametrize("arguments", [("--env", f"{NAME}:Nothing"), ("--env", ENV, "--variant", "promp")])
def test_bad_input_is_one_line(tmp_path, capsys, arguments) -> None:
    assert main([*arguments, *TINY, "--run-dir", str(tmp_path / "run")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (9, -9)])
def test_no_worker_outlives_the_run(folder, signum, status) -> None:
    process = command("--iterations", "100000", "--num-threads", "2", "--run-dir", "run")
    deadline = time.monotonic() + 60
    while not Path("run/metrics.jsonl").exists() or not metrics(Path("run")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    workers = workers_of(process)
    assert len(workers) == 2
    # A terminal sends SIGINT to them all.
    for pid in (process.pid, *workers)[: 3 if signum == signal.SIGINT else 1]:
        os.kill(pid, signum)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in stderr
    while any(runs(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["OldReset", "OldStep", "RewardArray", "NoInfo"])
def test_an_environment_that_cannot_be_is_one_line_before_anything_is_written(tmp_path, capsys, name) -> None:
    assert main(["--env", f"{NAME}:{name}", *TINY, "--run-dir", str(tmp_path / "run")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"maml_rl.train: {NAME}:{name}: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("part", ["__init__(self)", "make_env(self)", "sample_tasks(self, n, rng)"])
def test_ctrl_c_ends_a_run_in_the_user_s_own_code(folder, part) -> None:
    """Which is no failure of that code: no traceback, and the status of the signal."""
    slow = f"class Slow(MyTasks):\n    def {part}:\n        open('here', 'w').close()\n        time.sleep(60)\n"
    (folder / "slow.py").write_text(f"import time\n\nfrom my_module import MyTasks\n\n\n{slow}")
    process = command("--run-dir", "run", env="slow:Slow")
    deadline = time.monotonic() + 60
    while not Path("here").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (130, "")
    assert not Path("run").exists()
