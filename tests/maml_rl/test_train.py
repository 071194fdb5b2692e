import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maml_rl import envs
from maml_rl.options.presets import PICTURES
from maml_rl.options.shipped import PRESETS
from maml_rl.supervised.catalogue import DATA_SETS
from maml_rl.train import main
from tests.maml_rl.coloured_pictures import coloured

TINY = [
    *("--num-tasks", "3", "--episodes-per-task", "2", "--horizon", "10"),
    *("--hidden-sizes", "8", "--cg-iterations", "2", "--num-threads", "1", "--device", "cpu"),
]
METRICS = [
    *("iteration", "env_steps", "return/pre", "return/post", "policy/std", "actions/outside", "observations/rms"),
    *("episodes/lived", "episodes/diverged", "loss", "kl", "line_search/accepted", "line_search/backtracks"),
    "inner_kl",
    *("time/adapt", "time/collect", "time/outer", "time/iteration"),
]


def train(run_dir: Path, *arguments: str, env: str = "navigation-2d") -> None:
    assert main(["--env", env, *TINY, "--run-dir", str(run_dir), *arguments]) == 0


def metrics(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def without_times(rows: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def checkpoint_bytes(run_dir: Path, iteration: int) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run_dir / "checkpoints" / f"iteration-{iteration:06d}.safetensors")


def assert_same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_a_run_says_how_its_first_policy_begins(tmp_path, capsys) -> None:
    train(tmp_path / "good", "--iterations", "2", "--output-scale", "0.01", "--init-log-std", "-1")
    said = capsys.readouterr().err
    assert said.count("the first policy: ") == 1
    assert re.search(r": [0-5]% of its actions are outside of their bounds, 100% of the horizon lived", said)
    assert "warning" not in said
    train(tmp_path / "bad", "--iterations", "1", "--init-log-std", "1")
    assert "warning" in capsys.readouterr().err
    assert metrics(tmp_path / "bad")[0]["actions/outside"] > 0.5
    assert main(["--resume", str(tmp_path / "bad"), "--iterations", "2"]) == 0
    assert "the first policy" not in capsys.readouterr().err


def test_a_run_of_an_earlier_version_resumes(tmp_path) -> None:
    """Its options named episodes for the curvature, and no output scale; its checkpoints each parameter by name."""
    run = tmp_path / "run"
    train(run, "--iterations", "1", "--curvature-stride", "1")
    path = run / "checkpoints" / "iteration-000001.safetensors"
    tensors = safetensors.torch.load_file(path)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()

    def earlier(text: str) -> str:
        values = yaml.safe_load(text)
        del values["output_scale"], values["curvature_stride"]
        return yaml.safe_dump(values | {"curvature_episodes": 2}, sort_keys=False)

    (run / "config.yaml").write_text(earlier((run / "config.yaml").read_text()))
    names = {
        "layer0.weight": (2, 8),
        "layer0.bias": (8,),
        "layer1.weight": (8, 2),
        "layer1.bias": (2,),
        "log_std": (2,),
    }
    parts = tensors["theta"].split([torch.Size(shape).numel() for shape in names.values()])
    tensors = {name: part.reshape(shape) for (name, shape), part in zip(names.items(), parts, strict=True)}
    metadata |= {"config": earlier(metadata["config"]), "format_version": "1"}
    safetensors.torch.save_file(tensors, path, metadata)
    assert main(["--resume", str(run), "--iterations", "2"]) == 0
    assert len(metrics(run)) == 2
    assert yaml.safe_load((run / "config.yaml").read_text())["curvature_stride"] == 1


def test_a_run_writes_what_the_readme_says(tmp_path, capsys) -> None:
    run = tmp_path / "a" / "run"
    train(run, "--iterations", "3", "--checkpoint-every", "2")
    rows = metrics(run)
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    assert all(list(row) == METRICS for row in rows)
    assert 0 < rows[0]["env_steps"] <= 3 * 2 * 10 * 2
    assert all(row["time/iteration"] >= row["time/collect"] + row["time/adapt"] + row["time/outer"] for row in rows)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["num_tasks"] == 3
    assert config["discount"] == 0.99
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "iteration-000000.safetensors",
        "iteration-000002.safetensors",
        "iteration-000003.safetensors",
    ]
    assert all(0 < b["env_steps"] - a["env_steps"] <= 3 * 2 * 10 * 2 for a, b in pairwise(rows))
    events = EventAccumulator(str(run)).Reload()
    assert [event.step for event in events.Scalars("return/post")] == [0, 1, 2]
    assert events.Scalars("kl")[1].value == pytest.approx(rows[1]["kl"])
    lines = capsys.readouterr().err.splitlines()
    assert sum("return" in line and "steps/s" in line and "eta" in line for line in lines) == 3


@pytest.mark.parametrize("env", envs.ENVS)
def test_two_iterations_and_two_more_equal_four(tmp_path, env) -> None:
    train(tmp_path / "whole", "--iterations", "4", "--inner-steps", "2", env=env)
    train(tmp_path / "halves", "--iterations", "2", "--inner-steps", "2", env=env)
    assert main(["--resume", str(tmp_path / "halves"), "--iterations", "4"]) == 0
    assert without_times(metrics(tmp_path / "whole")) == without_times(metrics(tmp_path / "halves"))
    assert_same_tensors(checkpoint_bytes(tmp_path / "whole", 4), checkpoint_bytes(tmp_path / "halves", 4))
    assert yaml.safe_load((tmp_path / "halves" / "config.yaml").read_text())["iterations"] == 4


def test_resuming_from_an_older_checkpoint_leaves_no_gap_and_no_duplicate(tmp_path) -> None:
    train(tmp_path / "run", "--iterations", "4", "--checkpoint-every", "2")
    before = metrics(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "iteration-000004.safetensors").unlink()  # as if killed in iteration 3
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 4, "env_st')
    assert main(["--resume", str(tmp_path / "run")]) == 0
    assert without_times(metrics(tmp_path / "run")) == without_times(before)
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in events.Scalars("kl")] == [0, 1, 2, 3]


def test_the_number_of_threads_changes_nothing(tmp_path) -> None:
    size = ["--episodes-per-task", "20", "--horizon", "100", "--hidden-sizes", "64"]
    for threads in ("1", "2"):
        train(tmp_path / threads, "--iterations", "2", *size, "--num-threads", threads, env="halfcheetah-vel")
    assert without_times(metrics(tmp_path / "1")) == without_times(metrics(tmp_path / "2"))
    assert_same_tensors(checkpoint_bytes(tmp_path / "1", 2), checkpoint_bytes(tmp_path / "2", 2))


def test_a_rejected_line_search_is_logged_and_moves_nothing(tmp_path, capsys) -> None:
    # The only candidate is the full step, which on six steps per task overshoots a trust region of 100 nats.
    train(tmp_path / "run", "--iterations", "1", "--max-backtracks", "1", "--max-kl", "100")
    (row,) = metrics(tmp_path / "run")
    assert row["line_search/accepted"] is False
    assert row["line_search/backtracks"] == 1
    assert row["kl"] == pytest.approx(0, abs=1e-6)
    assert "the line search found no step" in capsys.readouterr().err
    assert_same_tensors(checkpoint_bytes(tmp_path / "run", 1), checkpoint_bytes(tmp_path / "run", 0))


def test_learns_to_navigate(tmp_path) -> None:
    """A golden test with a wide margin: after 12 small iterations one gradient step gains much on the start."""
    arguments = [
        "--env",
        "navigation-2d",
        "--iterations",
        "12",
        "--hidden-sizes",
        "32",
        "--run-dir",
        str(tmp_path / "run"),
    ]
    assert (
        main([*arguments, "--num-tasks", "20", "--episodes-per-task", "20", "--horizon", "40", "--max-kl", "0.02"]) == 0
    )
    rows = metrics(tmp_path / "run")
    assert rows[-1]["return/post"] > rows[0]["return/post"] + 6
    assert rows[-1]["return/post"] > rows[-1]["return/pre"] + 2
    assert all(row["kl"] <= 0.02 for row in rows)


def test_learns_to_find_the_best_arm(tmp_path) -> None:
    """The same inner loop and outer step under a categorical policy; chance pays 5 of 10 pulls, the best arm 8.3."""
    assert main(["--env", "bandit", "--iterations", "20", "--run-dir", str(tmp_path / "run")]) == 0
    rows = metrics(tmp_path / "run")
    late = rows[-5:]
    gains = [row["return/post"] - row["return/pre"] for row in late]
    assert min(gains) > 1
    assert sum(row["return/post"] for row in late) > 5 * 6.5
    assert all(0 <= row["policy/entropy"] <= 1.62 for row in rows)  # nats; log 5 is 1.609
    assert not {"policy/std", "actions/outside"} & rows[0].keys()


# ---- the real command line


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "maml_rl.train", *arguments]


# Meta-World's are for another virtual environment: make test-metaworld.
CONFIGS = sorted(path for path in PRESETS.rglob("*.yaml") if path.parent.name != "metaworld")
OF_DATA = {*DATA_SETS, PICTURES}
TINY_DATA = ["--num-tasks", "2", "--num-threads", "1", "--metrics-every", "1"]


@pytest.mark.parametrize("preset", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_config_runs_one_small_iteration(preset, tmp_path, tmp_path_factory, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    size = ["--hidden-sizes", "4"] if preset.stem == "sinusoid" else ["--filters", "2"]
    sizes = [*TINY_DATA, *size] if preset.stem in OF_DATA else TINY
    sizes = (
        [*sizes, "--ways", "2", "--data", str(coloured(tmp_path_factory.mktemp("p")))]
        if preset.stem == PICTURES
        else sizes
    )
    arguments = ["--config", str(preset), *sizes, "--iterations", "1", "--run-dir", "run", "--device", "cpu"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == ""
    assert len(metrics(tmp_path / "run")) == 1
    expected = yaml.safe_load(preset.read_text())
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    for name in ("env", "data"):
        assert name not in expected or written[name] == expected[name]
    assert written["inner_lr"] == expected["inner_lr"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # and nothing else beside it


def test_every_family_has_its_protocol() -> None:
    assert {path.stem for path in PRESETS.glob("*.yaml")} == set(envs.ENVS) | OF_DATA
    for path in PRESETS.glob("promp/*.yaml"):
        preset = yaml.safe_load(path.read_text())
        assert (preset["env"], preset["variant"]) == (path.stem, "promp")
        assert preset["horizon"] == envs.make_family(path.stem, "promp").horizon
    for name, family in envs.ENVS.items():
        preset = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
        assert preset["env"] == name
        assert preset["horizon"] == family.make("maml").horizon


@pytest.mark.parametrize("variant", ["maml", "promp"])
def test_the_list_of_families_says_what_they_are(variant, capsys) -> None:
    assert main(["--list-envs", "--variant", variant]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    presets = PRESETS if variant == "maml" else PRESETS / variant
    names = [name for name in envs.ENVS if (presets / f"{name}.yaml").exists()]
    assert [row.split()[0] for row in rows] == names
    columns = [head.index(word) for word in ("observation", "action", "horizon", "dt (s)", "source")]
    for name, row in zip(names, rows, strict=True):
        env = envs.make_family(name, variant)
        observation, action, horizon, dt, source = (row[column:].split("  ")[0] for column in columns)
        assert int(observation) == env.observation_size
        assert action.split()[0] == str(env.action_size)
        assert ("choices" in action) == bool(env.choices)
        assert (int(horizon), float(dt)) == (env.horizon, pytest.approx(env.dt))
        assert source == envs.ENVS[name].source


def test_help_lists_the_families_and_the_preset() -> None:
    arguments = command("--env", "navigation-2d", "--help")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    for name in envs.ENVS:
        assert name in done.stdout
    assert "default: 20" in done.stdout  # tasks, of this family's preset


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signals to a process")
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_writes_a_checkpoint_and_the_run_goes_on_from_it(tmp_path, signum, status) -> None:
    run = tmp_path / "run"
    arguments = command("--env", "navigation-2d", *TINY, "--iterations", "100000", "--run-dir", str(run))
    # Where a shell runs the tests in the background, they and their children begin with SIGINT ignored.
    process = subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signum, signal.SIG_DFL)
    )
    deadline = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signum)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in stderr
    assert f"--resume {run}" in stderr.splitlines()[-1]
    done = len(metrics(run))
    assert (run / "checkpoints" / f"iteration-{done:06d}.safetensors").exists()
    assert main(["--resume", str(run), "--iterations", str(done + 1)]) == 0
    assert [row["iteration"] for row in metrics(run)] == list(range(done + 1))


def test_a_reader_that_goes_away_ends_the_command_without_a_traceback() -> None:
    process = subprocess.Popen(command("--list-envs"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()  # type: ignore[union-attr]
    _, error = process.communicate(timeout=60)
    assert (error, process.returncode) == ("", 128 + 13)
