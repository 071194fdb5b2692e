"""The command: table, JSON, fixed tasks, comparisons, bad input."""

import json
import sys

import pytest
import torch

from maml_rl.evaluate import main
from maml_rl.machine.keys import Purpose, keyed
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.parts import make_algorithm
from maml_rl.options.rl_wiring import make_family
from maml_rl.options.shipped import PRESETS
from maml_rl.options.yaml_file import read_yaml
from maml_rl.runs.checkpoint import Checkpoint, save_checkpoint
from tests.maml_rl.test_train import train

SMALL = ["--tasks", "3", "--episodes", "4", "--gradient-steps", "1"]
RESULT = ["name", "algorithm", "iteration", "inner_lrs", "gradient_steps", "return_mean", "return_ci95"]
RESULT += ["env_steps_per_task", "per_task"]
TOP = ["env", "checkpoints", "protocol", "results", "differences"]


@pytest.fixture
def walker(tmp_path):
    """A checkpoint of a policy that walks 0.1 m to the right at every step, almost without noise."""
    theta = torch.tensor([0, 0, 0, 0, 1, 0, -20, -20], dtype=torch.float32)
    config = configure(RlConfig(), {"hidden_sizes": [], "horizon": 8, "min_log_std": -20.0, "inner_lr": 0.0})
    return save_checkpoint(tmp_path, Checkpoint({"theta": theta}, 7, 0), config)


def evaluate(tmp_path, *arguments: str) -> dict:
    assert main([*arguments, "--output", str(tmp_path / "out.json")]) == 0
    return json.loads((tmp_path / "out.json").read_text())


def test_a_known_policy_has_the_return_computed_by_hand(tmp_path, walker, capsys) -> None:
    (tmp_path / "tasks.yaml").write_text("- [0.5, 0.0]\n- [-0.5, 0.0]\n")
    result = evaluate(tmp_path, str(walker), *SMALL[2:], "--fixed-tasks", str(tmp_path / "tasks.yaml"))
    [policy] = result["results"]
    reached = -(0.4 + 0.3 + 0.2 + 0.1)  # and done at the goal
    missed = -(0.6 + 0.7 + 0.8 + 0.9 + 1.0 + 1.1 + 1.2 + 1.3)
    assert [row["task"] for row in policy["per_task"]] == [[0.5, 0.0], [-0.5, 0.0]]
    assert [row["returns"][0] for row in policy["per_task"]] == pytest.approx([reached, missed], abs=1e-5)
    assert policy["return_mean"] == pytest.approx([(reached + missed) / 2] * 2, abs=1e-5)  # an inner_lr of 0
    std = abs(reached - missed) / 2**0.5
    assert policy["return_ci95"][0] == pytest.approx(1.959964 * std / 2**0.5, abs=1e-4)
    assert policy["env_steps_per_task"] == [0, 4 * 8]  # others follow an episode that ends early
    table = capsys.readouterr().out
    assert "gradient steps" in table
    assert f"{(reached + missed) / 2:.1f}" in table


def test_step_sizes_can_be_chosen(tmp_path, walker) -> None:
    result = evaluate(tmp_path, str(walker), "--tasks", "2", "--episodes", "2", "--inner-lr", "0.4")
    assert result["results"][0]["inner_lrs"] == [0.4, 0.2, 0.2]
    sizes = ["--inner-lr", "0.4", "--eval-lr-ratio", "0.25"]
    result = evaluate(tmp_path, str(walker), "--tasks", "2", "--episodes", "2", *sizes)
    assert result["results"][0]["inner_lrs"] == [0.4, 0.1, 0.1]
    assert result["protocol"]["eval_lr_ratio"] == 0.25


def test_the_json_has_every_documented_key(tmp_path, walker) -> None:
    result = evaluate(tmp_path, str(walker), *SMALL)
    assert list(result) == TOP
    assert list(result["results"][0]) == RESULT
    page = (PRESETS.parent / "docs" / "evaluate.md").read_text()
    for key in [*TOP, *RESULT, *result["protocol"]]:
        assert f"`{key}`" in page, key


def test_a_seed_decides_everything(tmp_path) -> None:
    train(tmp_path / "run", "--iterations", "1")
    run = str(tmp_path / "run")
    first, again = evaluate(tmp_path, run, *SMALL), evaluate(tmp_path, run, *SMALL, "--num-threads", "1")
    other = evaluate(tmp_path, run, *SMALL, "--seed", "2")
    assert first == again
    tasks = [[row["task"] for row in each["results"][0]["per_task"]] for each in (first, other)]
    assert all(task not in tasks[1] for task in tasks[0])


def test_training_validation_and_evaluation_share_no_task() -> None:
    env = make_family(RlConfig())
    training = [env.sample_tasks(100, keyed(Purpose.TASKS, seed, i)) for seed in range(3) for i in range(20)]
    splits = (Purpose.VALIDATION_TASKS, Purpose.EVALUATION_TASKS)
    held_out = [env.sample_tasks(100, keyed(split, seed)) for seed in range(3) for split in splits]
    everything = torch.cat(training + held_out)
    assert len(everything.unique(dim=0)) == len(everything)


def test_later_steps_are_smaller_as_in_the_paper() -> None:
    paper = configure(RlConfig(), read_yaml(PRESETS / "maml-paper" / "halfcheetah-dir.yaml"))
    assert make_algorithm(paper).step_sizes({}, 0, 3) == [0.1, 0.05, 0.05]
    promp = configure(RlConfig(), read_yaml(PRESETS / "promp" / "halfcheetah-dir.yaml"))
    assert make_algorithm(promp).step_sizes({}, 0, 3) == [0.1] * 3
    assert make_algorithm(configure(paper, {"inner_steps": 2})).step_sizes({}, 0, 3) == [0.1, 0.1, 0.05]


def test_algorithms_side_by_side(tmp_path, capsys) -> None:
    """The oracle is told its task, needs no step, and the random policy has the first one's kind."""
    for algorithm in ("maml", "pretrain", "oracle"):
        train(tmp_path / algorithm, "--iterations", "2", "--algorithm", algorithm)
    runs = [str(tmp_path / name) for name in ("maml", "pretrain", "oracle")]
    figure = tmp_path / "compared.svg"
    result = evaluate(tmp_path, *runs, "--random", "--tasks", "3", "--episodes", "2", "--figure", str(figure))
    assert figure.read_text().startswith("<?xml")
    assert [row["algorithm"] for row in result["results"]] == ["maml", "pretrain", "oracle", "random"]
    assert [len(row["return_mean"]) for row in result["results"]] == [4, 4, 1, 4]
    assert [row["task"] for row in result["results"][0]["per_task"]] == [
        row["task"] for row in result["results"][2]["per_task"]
    ]
    table = capsys.readouterr().out
    assert table.count("gradient steps") == 1
    assert "task by task, less maml" in table
    after = [torch.tensor([task["returns"][-1] for task in row["per_task"]]) for row in result["results"]]
    assert len(result["differences"]) == 6
    assert result["differences"][1]["of"] == result["results"][2]["name"]
    assert result["differences"][1]["mean"] == pytest.approx(float((after[2] - after[0]).mean()), rel=1e-5)
    assert all(row["name"] in table for row in result["results"])


def test_pretraining_does_not_adapt(tmp_path) -> None:
    train(tmp_path / "run", "--iterations", "2", "--algorithm", "pretrain")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(row["return/pre"] == row["return/post"] for row in rows)
    assert rows[0]["env_steps"] <= 3 * 2 * 10


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["no run", "one or more"]),
        (["RUN", "--gradient-steps", "-1"], ["--gradient-steps", "-1", ">= 0"]),
        (["RUN", "--gradient-step", "1"], ["unknown option", "nearest: --gradient-steps"]),
        (["RUN", "--tasks", "0"], ["--tasks", "0"]),
        (["missing.safetensors"], ["missing.safetensors"]),
        (["missing"], ["missing"]),
        (["folder"], ["folder", "a run with a checkpoint"]),
        (["foreign.safetensors"], ["foreign.safetensors", "cannot be read"]),
        (["RUN", "--figure", "compared.png"], ["--figure", "one policy", "several to compare"]),
        (["RUN", "--video", "film.mov"], ["--video", "film.mov", ".mp4, .gif"]),
        (["RUN", "--video", "nowhere/film.mp4"], ["--video", "a folder that exists"]),
        (["RUN", "--output", "nowhere/out.json"], ["--output", "a folder that exists"]),
        pytest.param(
            ["RUN", "--output", "/proc/out.json"],
            ["--output", "can be written"],
            marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux has a /proc"),
        ),
        (["RUN", "--video", "x" * 300 + ".mp4"], ["--video", "File name too long"]),
        (["RUN", "--output", "out.txt"], ["--output", "out.txt", ".json"]),
        (["RUN", "--video", "film.mp4", "--video-size", "33", "64"], ["--video-size", "33 64"]),
        (["RUN", "--video", "film.mp4", "--video-fps", "51"], ["--video-fps", "51", "<= 50"]),
        (["RUN", "--video-fps", "10"], ["--video-fps", "not allowed without --video"]),
        (["RUN", "--video", "film.mp4", "--tasks", "2", "--video-tasks", "3"], ["--video-tasks", "3"]),
        (["RUN", "--fixed-tasks", "three.json"], ["--fixed-tasks", "[1, 2, 3]", "2 numbers"]),
        (["RUN", "--fixed-tasks", "words.yaml"], ["--fixed-tasks", "far away"]),
        (["RUN", "--fixed-tasks", "torn.json"], ["--fixed-tasks", "torn.json"]),
        (["RUN", "--fixed-tasks", "missing.json"], ["--fixed-tasks", "missing.json", "No such file", "or maml-paper"]),
        (["RUN", "--fixed-tasks", "maml-papr"], ["--fixed-tasks", "'maml-papr'", "nearest: maml-paper"]),
        (["RUN", "--fixed-tasks", "./maml-paper"], ["--fixed-tasks", "'./maml-paper'", "Is a directory"]),
        (["RUN", "--fixed-tasks", "three.json", "--tasks", "3"], ["--tasks", "not allowed with --fixed-tasks"]),
        (["RUN", "--fixed-tasks", ""], ["--fixed-tasks", "''", "or maml-paper"]),
        (["RUN", "RUN"], ["twice", "each once"]),
        (["RUN", "--video-tasks", "2"], ["--video-tasks", "not allowed without --video"]),
        (["RUN", "--fixed-tasks", "none.json"], ["--fixed-tasks", "an empty list"]),
        (["RUN", "--device", "tpu"], ["--device", "'tpu'"]),
    ],
)
def test_bad_input(tmp_path, walker, monkeypatch, capsys, arguments: list[str], parts: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "foreign.safetensors").write_bytes(b"not a checkpoint")
    (tmp_path / "maml-paper").mkdir()
    (tmp_path / "three.json").write_text("[[1, 2, 3]]")
    (tmp_path / "none.json").write_text("[]")
    (tmp_path / "words.yaml").write_text("- far away\n")
    (tmp_path / "torn.json").write_text("[[0.1, 0")
    before = sorted(tmp_path.rglob("*"))
    assert main([str(walker) if each == "RUN" else each for each in arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    for part in parts:
        assert part in error
    assert sorted(tmp_path.rglob("*")) == before


def test_the_paper_s_tasks_come_by_name_with_their_episodes(tmp_path, walker, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maml-paper").write_text("[[0.3, -0.2]]")  # the name means the shipped tasks all the same
    arguments = [str(walker), "--gradient-steps", "0"]
    named = evaluate(tmp_path, *arguments, "--fixed-tasks", "maml-paper")
    assert "navigation-2d: 40 tasks x 40 episodes" in capsys.readouterr().out
    assert named["protocol"]["fixed_tasks"] == "maml-paper"
    assert (named["protocol"]["tasks"], named["protocol"]["episodes_per_task"]) == (40, 40)
    tasks = json.loads((PRESETS / "tasks" / "maml-paper" / "navigation-2d.json").read_text())
    assert [row["task"] for row in named["results"][0]["per_task"]] == tasks

    chosen = evaluate(tmp_path, *arguments, "--fixed-tasks", "maml-paper", "--episodes", "3")
    assert chosen["protocol"]["episodes_per_task"] == 3
    file = evaluate(tmp_path, *arguments, "--fixed-tasks", "./maml-paper")
    assert (file["protocol"]["tasks"], file["protocol"]["episodes_per_task"]) == (1, 20)  # as in training
    assert file["protocol"]["fixed_tasks"] == "./maml-paper"
    assert evaluate(tmp_path, *arguments)["protocol"]["fixed_tasks"] is None


def test_a_family_without_tasks_of_the_paper(tmp_path, capsys) -> None:
    train(tmp_path / "run", "--iterations", "0", env="bandit")
    capsys.readouterr()
    assert main([str(tmp_path / "run"), "--fixed-tasks", "maml-paper"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--fixed-tasks: got 'maml-paper', allowed for bandit: a file" in line
    assert "navigation-2d, halfcheetah-dir, halfcheetah-vel, ant-vel, ant-dir" in line


def test_only_the_same_family_is_compared(tmp_path, walker, capsys) -> None:
    train(tmp_path / "run", "--iterations", "1", env="halfcheetah-dir")
    assert main([str(walker), str(tmp_path / "run")]) == 2
    assert "env: got 'halfcheetah-dir', allowed: 'navigation-2d'" in capsys.readouterr().err
