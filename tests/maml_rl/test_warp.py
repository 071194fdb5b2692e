"""Training on MuJoCo Warp through the command line, on Warp's CPU device."""

import importlib.util
import math

import pytest
import torch
import yaml

from maml_rl import envs, load, roll_out
from maml_rl.meta.algorithm import FeedForward
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.rl.sampler import collect
from tests.maml_rl.test_bad_input import fails  # noqa: F401
from tests.maml_rl.test_train import TINY, main, metrics, train, without_times

needs_warp = pytest.mark.skipif(not importlib.util.find_spec("mujoco_warp"), reason="the extra gpu is not installed")
WARP = ["--physics", "warp"]


@needs_warp
def test_two_iterations_of_the_half_cheetah(tmp_path) -> None:
    train(tmp_path / "warp", "--iterations", "2", *WARP, env="halfcheetah-vel")
    train(tmp_path / "cpu", "--iterations", "2", "--physics", "cpu", env="halfcheetah-vel")
    rows, expected = metrics(tmp_path / "warp"), metrics(tmp_path / "cpu")
    assert [row["episodes/diverged"] for row in rows] == [0, 0]
    for key in ("env_steps", "return/pre", "return/post", "policy/std"):
        assert [row[key] for row in rows] == pytest.approx([row[key] for row in expected], rel=1e-3), key
    assert yaml.safe_load((tmp_path / "warp" / "config.yaml").read_text())["physics"] == "warp"
    policy = load(tmp_path / "warp")
    assert policy.config.physics == "cpu"
    assert math.isfinite(roll_out(policy, 1.0).mean_return())


@needs_warp
def test_a_run_on_warp_resumes_bit_for_bit_and_on_another_physics(tmp_path) -> None:
    train(tmp_path / "whole", "--iterations", "2", *WARP, "--keep-best", env="halfcheetah-vel")
    train(tmp_path / "halves", "--iterations", "1", *WARP, "--keep-best", env="halfcheetah-vel")
    assert main(["--resume", str(tmp_path / "halves"), "--iterations", "2"]) == 0
    assert without_times(metrics(tmp_path / "whole")) == without_times(metrics(tmp_path / "halves"))
    assert main(["--resume", str(tmp_path / "halves"), "--iterations", "3", "--physics", "cpu"]) == 0
    assert len(metrics(tmp_path / "halves")) == 3


@needs_warp
def test_episodes_end_and_start_as_on_the_cpu() -> None:
    """Hoppers with random bodies fall, each at its own time."""
    parts = {}
    for physics in ("cpu", "warp"):
        values = {"env": "hopper-rand-params", "num_tasks": 3, "episodes_per_task": 4, "init_log_std": 2}
        config = configure(RlConfig(), values | {"device": "cpu", "physics": physics})
        setting = make_rl_setting(config)
        family, simulations, policy = setting.family, setting.simulations, setting.model
        assert len(simulations) == (2 if physics == "cpu" else 1)
        tasks = family.sample_tasks(3, envs.KeyedGenerator(0, 0))
        theta_M = policy.initial_parameters(envs.KeyedGenerator(0)).expand(3, -1)
        parts[physics] = collect(
            family, simulations, FeedForward(policy, theta_M), tasks, envs.KeyedGenerator(0, 1), 30
        )
    assert parts["cpu"].terminated.any()
    assert torch.equal(parts["cpu"].times, parts["warp"].times)
    assert torch.equal(parts["cpu"].terminated, parts["warp"].terminated)
    torch.testing.assert_close(parts["cpu"].observations, parts["warp"].observations, rtol=1e-3, atol=1e-3)


@needs_warp
def test_too_little_room_stops_the_run_and_says_what_to_raise(tmp_path, capsys) -> None:
    run = tmp_path / "run"
    arguments = ["--env", "halfcheetah-vel", *TINY, *WARP, "--iterations", "2", "--horizon", "60"]
    assert main([*arguments, "--run-dir", str(run), "--warp-constraints", "2"]) == 2
    *_, hint, error = capsys.readouterr().err.splitlines()
    assert "--resume" in hint
    assert error.endswith("raise --warp-constraints above 2")
    assert main(["--resume", str(run), "--warp-constraints", "0"]) == 0
    assert len(metrics(run)) == 2


def test_families_and_machines_without_warp(fails, monkeypatch) -> None:  # noqa: F811
    for env in ("navigation-2d", "bandit", "my_module:MyTasks"):
        fails(["--env", env, *TINY, *WARP], "--physics", "'warp'", "auto, cpu", env)
    fails(["--physics", "wrap"], "--physics", "'wrap'", "auto, cpu, warp", "nearest: warp")
    fails(["--warp-contacts", "-1"], "--warp-contacts", "-1", ">= 0")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "warp" in name else find_spec(name))
    fails(["--env", "halfcheetah-vel", *TINY, *WARP], "--physics", "'warp'", "auto, cpu", "pip install")


def test_auto_is_the_cpu_where_there_is_no_cuda(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    [env] = make_rl_setting(configure(RlConfig(), {"env": "halfcheetah-vel", "num_tasks": 1})).simulations
    assert env.dtype == torch.float64


def test_a_run_from_before_there_was_a_choice_resumes(tmp_path) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "1")
    lines = (run / "config.yaml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("physics", "warp_"))]
    assert len(lines) - len(kept) == 3
    (run / "config.yaml").write_text("".join(kept))
    assert main(["--resume", str(run), "--iterations", "2"]) == 0
    assert len(metrics(run)) == 2
