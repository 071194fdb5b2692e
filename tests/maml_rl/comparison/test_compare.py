"""The command, with its processes: what it trains, keeps, takes and goes on with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from maml_rl.compare import main
from maml_rl.comparison.document import read_comparison

ROOT = Path(__file__).resolve().parents[3]
TINY = ["--num-tasks", "2", "--episodes-per-task", "2", "--horizon", "4", "--hidden-sizes", "3", "--device", "cpu"]
FLAGS = ["--env", "navigation-2d", *TINY, "--tasks", "3", "--jobs", "2"]
ASKED = [*FLAGS, "--algorithms", "maml", "pretrain", "--seeds", "4", "--env-steps", "60"]  # 32 and 16 an iteration


def metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("comparison") / "out"
    assert main([*ASKED, "--output", str(folder)]) == 0
    return folder


def test_all_runs_take_as_many_env_steps_and_are_evaluated_on_the_same_tasks(compared) -> None:
    found = read_comparison(compared / "comparison.json")
    assert [(run.label, run.seed) for run in found.runs] == [("maml", 4), ("pretrain", 4)]
    assert [len(metrics(compared / "runs" / f"{name}-4")) for name in ("maml", "pretrain")] == [2, 4]
    for run in found.runs:
        rows = metrics(compared / "runs" / f"{run.label}-4")
        assert run.done == [row["env_steps"] for row in rows]
        assert run.done[-1] == 64
        np.testing.assert_allclose(run.post, [row["return/post"] for row in rows], rtol=1e-3)
        np.testing.assert_allclose(run.seconds, np.cumsum([row["time/iteration"] for row in rows]), rtol=1e-3)
        [evaluation] = [json.loads(path.read_text()) for path in compared.glob(f"evaluations/*/{run.label}-4.json")]
        [result] = evaluation["results"]
        assert [task["task"] for task in result["per_task"]] == found.task_list
        np.testing.assert_allclose(run.matrix.T, [task["returns"] for task in result["per_task"]], rtol=1e-3)
    assert found.with_one_seed == ["maml", "pretrain"]


def test_a_repeated_call_takes_what_is_there(compared, capsys) -> None:
    times = {path: path.stat().st_mtime_ns for path in compared.rglob("*") if path.suffix in (".safetensors", ".jsonl")}
    before = (compared / "comparison.json").read_text()
    assert main([*ASKED, "--output", str(compared)]) == 0
    assert (compared / "comparison.json").read_text() == before
    assert times == {path: path.stat().st_mtime_ns for path in times}
    table = capsys.readouterr().out
    assert "navigation-2d: 3 tasks" in table
    assert "probability of improvement" in table
    assert "one seed of maml, pretrain: nothing can be concluded" in table


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(compared, tmp_path, capsys) -> None:
    folder = tmp_path / "out"
    assert main([*ASKED, "--output", str(folder), "--dry-run"]) == 0
    assert not folder.exists()
    [_, maml, pretrain] = capsys.readouterr().out.splitlines()
    assert maml.split()[:4] == ["maml-4", "0", "60", "env"]
    assert "num_tasks 2" in pretrain
    shutil.copytree(compared, folder)
    assert main([*ASKED, "--output", str(folder), "--dry-run"]) == 0
    [_, maml, pretrain] = capsys.readouterr().out.splitlines()
    name, done, wanted, evaluated, *_ = maml.split()
    assert (name, done, evaluated) == ("maml-4", wanted, "yes")


def test_the_report_is_one_page_without_network(compared) -> None:
    page = (compared / "comparison.html").read_text()
    assert "default-src 'none'" in unescape(page)
    assert page.count("<svg") == 4
    for words in ("probability of improvement", "ne seed of maml, pretrain", "num_tasks 2", "All pairs", "<title>"):
        assert (words in page) == (words != "All pairs"), words  # one pair is all
    assert not re.search(r"https?://(?!www\.w3\.org)", page)


def test_what_is_missing_is_trained_and_evaluated_and_a_failed_run_leaves_the_others(
    compared, tmp_path, capsys
) -> None:
    folder, runs = tmp_path / "out", tmp_path / "runs.yaml"
    shutil.copytree(compared, folder)
    lines = (folder / "runs" / "maml-4" / "metrics.jsonl").read_bytes()
    runs.write_text("seeds: [4]\nenv_steps: 60\nruns:\n  far: {inner_lr: 1.0e+30}\n  maml: {}\n")
    assert main([*FLAGS, "--config", str(runs), "--gradient-steps", "1", "--output", str(folder)]) == 1
    assert "far-4: " in capsys.readouterr().err
    assert (folder / "runs" / "maml-4" / "metrics.jsonl").read_bytes() == lines
    [run] = read_comparison(folder / "comparison.json").runs
    assert (run.label, run.matrix.shape) == ("maml", (2, 3))


def test_kept_runs_are_compared_without_their_folders(compared, tmp_path, capsys) -> None:
    kept = compared / "comparison.json"
    assert main(["--kept", str(kept), "--output", str(tmp_path / "again")]) == 0
    one, other = (json.loads(path.read_text()) for path in (kept, tmp_path / "again" / "comparison.json"))
    assert one == other
    assert main(["--kept", str(kept), str(tmp_path / "again" / "comparison.json"), "--output", str(tmp_path)]) == 2
    assert "got maml with seed 4 again" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "{}", '{"results": [{}]}'])
def test_a_damaged_evaluation_leaves_the_others(compared, tmp_path, capsys, content) -> None:
    folder = tmp_path / "out"
    shutil.copytree(compared, folder)
    [evaluation] = folder.glob("evaluations/*/maml-4.json")
    evaluation.write_text(content)
    assert main([*ASKED, "--output", str(folder)]) == 1
    error = capsys.readouterr().err
    assert f"maml_rl.compare: maml-4: {evaluation} is damaged" in error
    assert [run.label for run in read_comparison(folder / "comparison.json").runs] == ["pretrain"]


def test_metrics_that_lost_a_row_are_not_taken(compared, tmp_path, capsys) -> None:
    folder = tmp_path / "out"
    shutil.copytree(compared, folder)
    rows = folder / "runs" / "pretrain-4" / "metrics.jsonl"
    rows.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[:-1]))
    assert main([*ASKED, "--output", str(folder)]) == 1
    assert "got metrics of 3 iterations, allowed: of 4" in capsys.readouterr().err
    assert [run.label for run in read_comparison(folder / "comparison.json").runs] == ["maml"]


def test_short_runs_of_a_data_set_have_no_curve(tmp_path, capsys) -> None:
    flags = ["--data", "sinusoid", "--algorithms", "maml", "--seeds", "1", "--iterations", "1", "--num-tasks", "2"]
    assert main([*flags, "--tasks", "3", "--device", "cpu", "--output", str(tmp_path / "out")]) == 0
    [run] = read_comparison(tmp_path / "out" / "comparison.json").runs
    assert run.done == []
    assert "sinusoid: 3 tasks" in capsys.readouterr().out


def test_a_run_of_other_options_is_not_taken(compared, capsys) -> None:
    assert main([*ASKED, "--inner-lr", "0.7", "--output", str(compared)]) == 2
    error = capsys.readouterr().err
    assert "runs/maml-4/config.yaml: inner_lr" in error
    assert error.count("\n") == 1


def test_a_stopped_comparison_goes_on(tmp_path) -> None:
    flags = [*FLAGS, "--algorithms", "maml", "--seeds", "1", "--iterations", "400", "--output", "out"]
    command = [sys.executable, "-m", "maml_rl.compare", *flags]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    rows = tmp_path / "out" / "runs" / "maml-1" / "metrics.jsonl"
    until = time.monotonic() + 60
    while not (rows.exists() and rows.stat().st_size > 1000):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "the same command, with --output out, goes on" in error
    stopped = len(rows.read_bytes().splitlines())
    assert 0 < stopped < 400
    assert main([*flags[:-1], str(tmp_path / "out"), "--iterations", str(stopped + 2)]) == 0
    assert len(rows.read_bytes().splitlines()) == stopped + 2


def test_two_ranks_train_each_run_together(tmp_path) -> None:
    ranks = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    flags = [*FLAGS[:-2], "--algorithms", "pretrain", "--seeds", "1", "--iterations", "1", "--output", "out"]
    done = subprocess.run(
        [*ranks, "maml_rl.compare", *flags],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("navigation-2d: 3 tasks") == 1
    assert [run.label for run in read_comparison(tmp_path / "out" / "comparison.json").runs] == ["pretrain"]


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        ([], ["--output"]),
        (["--output", "FILE"], ["--output", "FILE is a file"]),
        (["--output", "out", "--kept", "FILE"], ["FILE", "comparison.json"]),
        (["--output", "out", "--kept", "missing.json"], ["missing.json", "cannot be read"]),
        (["--output", "FILE/out"], ["--output", "FILE is a file"]),
        (["--output", "out", "--kept", "FILE", "--tasks", "3"], ["--tasks: no effect on kept runs"]),
        ([*FLAGS, "--algorithms", "maml", "--fixed-tasks", "no", "--output", "out"], ["--fixed-tasks", "no"]),
        (
            [*FLAGS, "--algorithms", "maml", "--fixed-tasks", "FILE", "--tasks", "2", "--output", "out"],
            ["--tasks: not allowed with --fixed-tasks"],
        ),
        (["--output", "out", "--job", "1"], ["--job", "nearest: --jobs"]),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, argv, parts) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("{}")
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert all(part in error for part in parts), error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda runs: runs.clear(), ["no run"]),
        (lambda runs: runs.append(3), ["run 3", "got 3"]),
        (lambda runs: runs[0].pop("seed"), ["run 1", "seed"]),
        (lambda runs: runs[0].update(seed=-1), ["run 1: seed", "-1"]),
        (lambda runs: runs[1]["post"].pop(), ["run 2: post", "numbers"]),
        (lambda runs: runs[1]["scores"][0].pop(), ["run 2: scores"]),
        (lambda runs: runs[0]["scores"].__setitem__(0, [None] * 3), ["run 1: scores", "null"]),
        (lambda runs: runs[1]["scores"].clear(), ["run 2: scores"]),
        (lambda runs: runs[1].update(scores=[["x", 1, 2]]), ["run 2: scores"]),
        (lambda runs: [row.pop() for row in runs[0]["scores"]], ["2 tasks", "3 tasks"]),
    ],
)
def test_a_kept_file_that_was_changed(compared, tmp_path, capsys, change, parts) -> None:
    document = json.loads((compared / "comparison.json").read_text())
    change(document["runs"])
    (tmp_path / "kept.json").write_text(json.dumps(document))
    assert main(["--kept", str(tmp_path / "kept.json"), "--output", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    error = capsys.readouterr().err
    assert all(part in error for part in parts), error
    assert error.count("\n") == 1
