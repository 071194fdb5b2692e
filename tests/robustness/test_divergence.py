"""A policy that leaves the finite numbers: one line says which task and what to do; status 1, a checkpoint is kept."""

import dataclasses

import pytest
import safetensors.torch
import torch

import maml_rl
from maml_rl import evaluate
from maml_rl.rl.baseline import fit_baseline
from maml_rl.runs.record import stuck
from maml_rl.schema.errors import Diverged
from maml_rl.train import main
from tests.envs.tasks_for_tests import NAME
from tests.maml_rl.test_train import TINY, metrics, train

# A first step that leads to NaN on navigation, where no environment clips or rescales anything before the loss.
WILD = ("--inner-lr", "1e30")


def last_line(capsys) -> str:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err.splitlines()[-1]


def test_training_ends_in_a_line_and_keeps_a_checkpoint(tmp_path, capsys) -> None:
    assert main(["--env", "navigation-2d", *TINY, *WILD, "--run-dir", str(tmp_path)]) == 1
    *_, kept, line = capsys.readouterr().err.splitlines()
    assert line.startswith("maml_rl.train: task 1 (")
    assert "after 1 gradient step: its parameters are not finite" in line or "actions that are not finite" in line
    assert "lower --inner-lr" in line
    assert "wrote" in kept
    assert (tmp_path / "checkpoints" / "iteration-000000.safetensors").exists()


@pytest.mark.parametrize(
    "arguments",
    [["--algorithm", "promp"], ["--algorithm", "rl2"], ["--algorithm", "reptile"], ["--outer-step", "adam"]],
    ids=" ".join,
)
def test_updates_that_leave_the_numbers_end_the_run_where_it_was_finite(tmp_path, capsys, arguments) -> None:
    sizes = ("--num-tasks", "2", "--episodes-per-task", "2", "--horizon", "10", "--num-threads", "1")
    command = ["--env", "navigation-2d", *sizes, *arguments, "--meta-lr", "1e38", "--iterations", "5"]
    assert main([*command, "--run-dir", str(tmp_path)]) == 1
    assert last_line(capsys).endswith("lower --meta-lr")
    maml_rl.load(tmp_path)  # its parameters are finite


def test_the_environment_is_not_blamed_for_a_policy_that_overflows(tmp_path, capsys) -> None:
    env = ("--env", f"{NAME}:Unscaled")
    assert main([*env, *TINY, "--output-scale", "1e3", "--run-dir", str(tmp_path)]) == 1
    line = last_line(capsys)
    assert "not finite: rescale the observations, which reach" in line
    assert "NaN or infinite" not in line  # as if the environment had given one


def test_an_evaluation_ends_in_a_line(tmp_path, capsys) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "1")
    output = tmp_path / "evaluation.json"
    arguments = [str(run), "--tasks", "2", "--output", str(output), "--num-threads", "1"]
    assert evaluate.main([*arguments, *WILD]) == 1
    line = last_line(capsys)
    assert f"maml ({run}): task " in line
    assert "lower --inner-lr" in line
    assert not output.exists()
    policy = maml_rl.load(run)
    lost = dataclasses.replace(policy, state={"theta": torch.full_like(policy.theta, torch.nan)})
    with pytest.raises(Diverged, match=r"task 1 .* after 0 gradient steps"):
        maml_rl.roll_out(lost, (0.1, 0.2))


def test_figures_do_not_fail_a_finished_run(tmp_path, capsys) -> None:
    """Their further gradient steps may diverge if the trained one has not."""
    arguments = ["--inner-lr", "1e-3", "--eval-lr-ratio", "1e35", "--iterations", "2"]
    assert main(["--env", "navigation-2d", *TINY, *arguments, "--run-dir", str(tmp_path)]) == 0
    assert "no figures: " in last_line(capsys)
    assert len(metrics(tmp_path)) == 2


@pytest.mark.parametrize("scale", [3e38, 1e30])
def test_weights_beyond_sense(tmp_path, capsys, scale) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "0")
    path = run / "checkpoints" / "iteration-000000.safetensors"
    with safetensors.safe_open(path, framework="pt") as file:
        metadata, theta = file.metadata(), file.get_tensor("theta")
    safetensors.torch.save_file({"theta": theta.sign() * scale}, path, metadata)
    capsys.readouterr()
    assert evaluate.main([str(run), "--tasks", "2", "--num-threads", "1"]) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


def test_rewards_that_no_baseline_fits() -> None:
    features = torch.rand(1, 2, 3, 4, dtype=torch.float64)
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    with pytest.raises(Diverged, match=r"rescale the rewards, of which the returns reach 1e\+308"):
        fit_baseline(features, 1e308 * torch.ones(1, 2, 3, dtype=torch.float64), mask)


def test_a_line_search_that_fails_again_and_again_names_a_reason(tmp_path, capsys) -> None:
    assert "3 times in a row" in stuck({"observations/rms": 1e6}, 3, "--inner-lr")
    assert "far from unit scale (RMS 1e+06)" in stuck({"observations/rms": 1e6}, 3, "--inner-lr")
    assert "lower --inner-lr" in stuck({"observations/rms": 1.0, "inner_kl": 30.0}, 3, "--inner-lr")
    assert "mostly noise" in stuck({"observations/rms": 1.0, "inner_kl": 0.1}, 3, "--inner-lr")
    train(tmp_path, "--iterations", "4", "--max-kl", "1e9", "--max-backtracks", "1")
    err = capsys.readouterr().err
    assert err.count("has found no step 3 times in a row") == 1
