"""Every algorithm by the commands: trained, resumed, evaluated, loaded, adapted, played, drawn."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import maml_rl
from maml_rl import evaluate, plot, train
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.yaml_file import dump_yaml
from maml_rl.runs.directory import read_run
from tests.maml_rl.algorithms.catalogue_names import NAMES, OF_POLICIES
from tests.maml_rl.test_train import assert_same_tensors, checkpoint_bytes, metrics, without_times

TINY = ["--num-tasks", "3", "--episodes-per-task", "2", "--horizon", "6", "--hidden-sizes", "4", "--num-threads", "1"]
TINY += ["--device", "cpu", "--iterations", "3", "--checkpoint-every", "1", "--seed", "3"]
TASKS = {"navigation-2d": (0.3, -0.2), "bandit": (0.1, 0.9, 0.2, 0.5, 0.4)}
OPTIONS = {
    "promp": ["--target-kl", "1e-6", "--meta-epochs", "2"],  # all that its state holds moves
    "reptile": ["--inner-lr", "0.5"],  # with the bandit's 30 and these few pulls no chance is left to learn from
}


@pytest.mark.parametrize("env", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_trained_resumed_evaluated_loaded_adapted_and_played(tmp_path, name, env, capsys) -> None:
    whole, cut, output = tmp_path / "whole", tmp_path / "cut", tmp_path / "out.json"
    arguments = ["--env", env, "--algorithm", name, *TINY, *OPTIONS.get(name, [])]
    assert train.main([*arguments, "--run-dir", str(whole)]) == 0
    rows = metrics(whole)
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    first, last = checkpoint_bytes(whole, 0), checkpoint_bytes(whole, 3)
    for key in first:
        assert not torch.equal(first[key], last[key]), key

    # As if killed in the second iteration: what follows is the same to the last bit.
    shutil.copytree(whole, cut)
    for number in (2, 3):
        (cut / "checkpoints" / f"iteration-{number:06d}.safetensors").unlink()
    assert train.main(["--resume", str(cut)]) == 0
    assert_same_tensors(checkpoint_bytes(cut, 3), last)
    assert without_times(metrics(cut)) == without_times(rows)

    small = ["--tasks", "2", "--episodes", "2", "--gradient-steps", "1", "--output", str(output)]
    assert evaluate.main([str(whole), *small]) == 0
    [result, *_] = json.loads(output.read_text())["results"]
    assert result["algorithm"] == name
    assert result["gradient_steps"] == [0, 1]

    policy = maml_rl.load(whole)
    adapted = maml_rl.adapt(policy, TASKS[env], gradient_steps=2, episodes=2)
    assert adapted.gradient_steps == 2
    assert not torch.equal(adapted.theta, policy.theta)
    by_steps = maml_rl.adapt(maml_rl.adapt(policy, TASKS[env], episodes=2), TASKS[env], episodes=2)
    assert torch.equal(by_steps.theta, adapted.theta)
    trajectories = maml_rl.roll_out(adapted, TASKS[env], episodes=2)
    assert trajectories.rewards.shape == (1, 2, 6)
    adapted.act(trajectories.observations[0, 0, 0].numpy())
    assert capsys.readouterr().out.count("Traceback") == 0


@pytest.fixture
def runs(tmp_path) -> list[Path]:
    """A run of each algorithm, as it is by default."""
    folders = []
    for name in OF_POLICIES:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(dump_yaml(configure(RlConfig(), {"algorithm": name})))
        row = {"iteration": 0, "env_steps": 100, "return/pre": -2.0, "return/post": -1.0}
        (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        folders.append(folder)
    return folders


def test_all_of_them_in_one_picture(tmp_path, runs) -> None:
    """They are told apart by their names: defaults that are an algorithm's own are not choices of the user's."""
    groups = plot.group_runs([read_run(run) for run in runs])
    assert list(groups["navigation-2d"]) == OF_POLICIES
    output = tmp_path / "figure.svg"
    assert plot.main([*map(str, runs), "--output", str(output)]) == 0
    assert output.stat().st_size > 5000


def test_a_choice_tells_runs_of_one_algorithm_apart_among_others(runs) -> None:
    config, rows = read_run(runs[0])
    others = [(configure(config, {"inner_lr": lr}), rows) for lr in (0.1, 0.5)] + [read_run(runs[-1])]
    assert list(plot.group_runs(others)["navigation-2d"])[:2] == [f"maml, inner_lr {lr}" for lr in (0.1, 0.5)]
