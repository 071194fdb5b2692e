"""Bad input ends in exit status 2 and one line that helps; what was on disk stays as it was."""

import os
from pathlib import Path

import pytest
import torch

from maml_rl.options.shipped import PRESETS
from maml_rl.runs.directory import lock_run_dir
from maml_rl.train import main
from tests.maml_rl.test_train import TINY, train


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; check its status, its one line, and that nothing on disk changed."""
    monkeypatch.chdir(tmp_path)

    def snapshot() -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}

    def check(arguments: list[str], *parts: str) -> None:
        before = snapshot()
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1, captured.err
        for part in parts:
            assert part in captured.err
        assert snapshot() == before

    return check


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--env", "halfcheeta-vel"], ["--env", "'halfcheeta-vel'", "navigation-2d", "nearest: halfcheetah-vel"]),
        (["--iner-lr", "0.1"], ["--iner-lr", "unknown option", "nearest: --inner-lr"]),
        (["-x"], ["-x", "unknown option"]),
        (["--algorithm", "prom"], ["--algorithm", "'prom'", "fomaml", "nearest: promp"]),
        (["--algorithm", "promp", "--max-kl", "0.1"], ["--max-kl", "not an option of promp", "anil"]),
        (["--algorithm", "promp", "--clip", "0"], ["--clip", "0", "> 0"]),
        (["--algorithm", "cavia", "--context-size", "-1"], ["--context-size", "-1", ">= 0"]),
        (["--algorithm", "reptile", "--inner-loss", "lvc"], ["--inner-loss", "not an option of reptile", "promp"]),
        (["--algorithm", "e_maml", "--inner-loss", "dise"], ["--inner-loss", "'dise'", "plain, lvc, dice"]),
        (["--algorithm", "meta_sgd", "--inner-lr", "0.1"], ["--inner-lr", "not an option of meta_sgd"]),
        (["halfcheetah-vel"], ["'halfcheetah-vel'", "options that begin with --"]),
        (["--inner-lr", "fast"], ["--inner-lr", "'fast'", "a number >= 0"]),
        (["--inner-lr", "-0.1"], ["--inner-lr", "-0.1", ">= 0"]),
        (["--inner-lr", "nan"], ["--inner-lr", "nan"]),
        (["--inner-lr"], ["--inner-lr", "no value"]),
        (["--inner-lr", "0.1", "0.2"], ["--inner-lr", "0.1 0.2", "one value"]),
        (["--num-tasks", "0"], ["--num-tasks", "0", "an integer >= 1"]),
        (["--num-tasks", "-3"], ["--num-tasks", "-3"]),
        (["--num-tasks", "2.5"], ["--num-tasks", "2.5", "an integer"]),
        (["--num-tasks="], ["--num-tasks", "an integer"]),
        (["--inner-steps", "0"], ["--inner-steps", "0", ">= 1"]),
        (["--observation-mean", "1", "2", "3"], ["--observation-mean", "3 numbers", "none, or 2"]),
        (["--observation-std", "1", "0"], ["--observation-std", "got 0", ">= 1e-06"]),
        (["--algorithm", "anil", "--head-layers", "4"], ["--head-layers", "got 4", "up to 3"]),
        (["--meta-lr", "0.1"], ["--meta-lr", "no effect with --outer-step trust-region"]),
        (["--outer-step", "adam", "--max-kl", "0.1"], ["--max-kl", "no effect with --outer-step adam"]),
        (["--discount", "1.01"], ["--discount", "1.01", "<= 1"]),
        (["--gae-lambda", "-0.5"], ["--gae-lambda", "-0.5"]),
        (["--hidden-sizes", "100", "0"], ["--hidden-sizes: got 0", ">= 1"]),
        (["--hidden-sizes", "100", "wide"], ["--hidden-sizes", "wide"]),
        (["--nonlinearity", "rellu"], ["--nonlinearity", "'rellu'", "relu, tanh", "nearest: relu"]),
        (["--variant", "pearl"], ["--variant", "'pearl'", "maml, promp"]),
        (["--seed", "-1"], ["--seed", "-1"]),
        (["--seed", "99999999999"], ["--seed", "<= 4294967295"]),
        (["--inner-lr", "-inf"], ["--inner-lr", "'-inf'", "a number"]),
        (["--horizon", "10000000"], ["--horizon", "<= 1000000"]),
        (["--run-dir", ""], ["--run-dir", "a path"]),
        (["--env", "HALFCHEETAH-VEL"], ["nearest: halfcheetah-vel"]),
        (["--env", "nav"], ["nearest: navigation-2d"]),
        (["--env", "CartPole-v1"], ["'CartPole-v1'", "make_env, sample_tasks and set_task", "docs/own-tasks.md"]),
        (["--variant", "promp"], ["--variant", "'promp'", "navigation-2d: maml"]),
        (["--a\nb"], ["unknown option"]),
        (["--config", "missing.yaml"], ["--config", "missing.yaml", "No such file"]),
        (["--config", "."], ["--config", "readable YAML file"]),
        (["--resume", "missing"], ["--resume", "missing", "a run directory"]),
        (["--resume", "x" * 300], ["--resume", "a run directory"]),
        (["--seed", "9" * 5000], ["--seed", "an integer"]),
        (["--resume", "a", "--run-dir", "b"], ["--run-dir", "--resume"]),
        (["--resume", "a", "--preset", "promp"], ["--preset", "not allowed with --resume"]),
        (["--preset", "maml-papr"], ["--preset", "'maml-papr'", "maml-paper, promp", "nearest: maml-paper"]),
        (["--preset", "metaworld"], ["--preset", "'metaworld'", "allowed: maml-paper, promp"]),
        (["--preset", ""], ["--preset", "''", "maml-paper, promp"]),
        (["--preset", "../configs"], ["--preset", "'../configs'", "maml-paper, promp"]),
        (["--preset", "maml-paper", "--env", "ant-goal"], ["--preset", "'maml-paper'", "allowed for ant-goal: promp"]),
        (["--preset", "promp", "--env", "bandit"], ["--preset", "'promp'", "allowed for bandit: none"]),
        (["--preset", "promp", "--env", "my_module:MyTasks"], ["--preset", "my_module:MyTasks", "has no presets"]),
        (
            ["--preset", "maml-paper", "--env", "ant-dir", "--variant", "promp", "--iterations", "0"],
            ["--variant", "'promp'", "allowed with --preset maml-paper: maml"],
        ),
        (
            ["--preset", "promp", "--env", "ant-dir", "--variant", "maml", "--iterations", "0"],
            ["--variant", "'maml'", "allowed with --preset promp: promp"],
        ),
        (
            ["--preset", "maml-paper", "--config", str(PRESETS / "promp" / "ant-dir.yaml"), "--iterations", "0"],
            ["ant-dir.yaml: variant", "'promp'", "allowed with --preset maml-paper: maml"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0].startswith("-") else None,
)
def test_options(fails, arguments, parts) -> None:
    fails([*TINY, *arguments] if arguments[0] in ("-x",) else arguments, *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("inner_learning_rate: 0.1", ["options.yaml", "inner_learning_rate", "unknown option"]),
        ("preset: promp", ["options.yaml", "preset", "unknown option"]),
        ("innerlr: 0.1", ["innerlr", "nearest: inner_lr"]),
        ("num_tasks: many", ["options.yaml", "num_tasks", "'many'", "an integer >= 1"]),
        ("discount: 2", ["discount", "2", "<= 1"]),
        ("env: halfcheetah", ["env", "'halfcheetah'", "nearest: halfcheetah"]),
        ("- 1\n- 2", ["options.yaml", "mapping"]),
        ("a: [", ["options.yaml", "YAML"]),
        ("3: 4", ["3", "unknown option"]),
        ("seed: 1\nseed: 2", ["options.yaml", "'seed' stands there twice"]),
        ("env: 2020-13-45", ["options.yaml", "month must be in"]),
        ("[" * 3000, ["options.yaml"]),
        ("inner_lr: " + "9" * 400, ["inner_lr"]),
        ("algorithms: {prom: {clip: 0.1}}", ["options.yaml: algorithms", "'prom'", "fomaml", "nearest: promp"]),
        ("algorithms: {promp: {env: bandit}}", ["options.yaml: algorithms: promp", "the option env"]),
        ("algorithms: {3: {}}", ["options.yaml: algorithms", "got 3", "fomaml"]),
        ("algorithms:", ["options.yaml: algorithms", "None", "options for each algorithm"]),
        ("algorithms: [promp]", ["options.yaml: algorithms", "['promp']", "options for each algorithm"]),
        ("algorithms: {promp: 0.1}", ["options.yaml: algorithms", "{'promp': 0.1}", "options for each algorithm"]),
        ("algorithms: {promp: }", ["options.yaml: algorithms", "options for each algorithm"]),
        ("algorithms: {maml: {clip: 0.1}}", ["options.yaml: clip", "not an option of maml", "promp"]),
        ("algorithms: {maml: {iner_lr: 1}}", ["options.yaml: iner_lr", "unknown option", "nearest: inner_lr"]),
        ("algorithms: {maml: {inner_lr: -1}}", ["options.yaml: inner_lr", "-1", ">= 0"]),
        ("algorithms: {maml: {algorithms: {}}}", ["options.yaml: algorithms", "unknown option"]),
        ("algorithms: {promp: {algorithm: maml}}", ["options.yaml: algorithms: promp", "the option algorithm"]),
        ("algorithm: promp\nalgorithms: {promp: {clip: 0}}", ["options.yaml: clip", "0", "> 0"]),
        ("algorithm: mam", ["options.yaml: algorithm", "'mam'", "nearest: maml"]),
        ("algorithm: [maml]", ["options.yaml: algorithm", "['maml']"]),
    ],
)
def test_yaml_files(fails, tmp_path, text, parts) -> None:
    (tmp_path / "options.yaml").write_text(text)
    fails(["--config", "options.yaml", "--iterations", "1"], *parts)


def test_a_binary_file_is_no_yaml(fails, tmp_path) -> None:
    (tmp_path / "options.yaml").write_bytes(b"\xff\xfe\x00")
    fails(["--config", "options.yaml"], "options.yaml", "not a text file")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_cuda(fails) -> None:
    fails([*TINY, "--device", "cuda"], "--device", "'cuda'", "auto, cpu")


def test_a_run_directory_that_is_taken_or_cannot_be(fails, tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    fails([*TINY, "--run-dir", "taken"], "--run-dir", "taken", "not empty", "--resume")
    fails([*TINY, "--run-dir", "taken/thesis.tex"], "--run-dir", "thesis.tex", "File exists")
    fails([*TINY, "--run-dir", "taken/thesis.tex/run"], "--run-dir", "Not a directory")
    fails([*TINY, "--run-dir", "/proc/run"], "--run-dir", "/proc/run", "can be written")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_directory_without_permission(fails, tmp_path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    fails([*TINY, "--run-dir", "locked"], "--run-dir", "Permission denied")


def test_resuming_what_cannot_be_resumed(fails, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "2")
    capsys.readouterr()
    fails(["--resume", "run", "--iterations", "1"], "--iterations", "1", ">= 2")
    fails(["--resume", "run", "--inner-lr", "0.7"], "--inner-lr", "0.7", "0.2")
    fails(["--resume", "run", "--env", "halfcheetah-vel"], "--env", "'halfcheetah-vel'", "'navigation-2d'")
    fails(["--resume", "run", "--config", "run/config.yaml"], "--config", "--resume")
    checkpoint = run / "checkpoints" / "iteration-000002.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    fails(["--resume", "run"], str(checkpoint.relative_to(tmp_path)), "cannot be read")
    checkpoint.write_bytes(whole)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("- 8", "- 9"))
    fails(["--resume", "run"], str(checkpoint.relative_to(tmp_path)), "theta", "(44,)", "(49,)")
    (run / "config.yaml").write_text(config.replace("nonlinearity: relu", "nonlinearity: tanh"))
    fails(["--resume", "run", "--iterations", "3"], "config.yaml", "nonlinearity", "'tanh'", "'relu'")
    (run / "config.yaml").write_text(config)
    rows = (run / "metrics.jsonl").read_text()
    for damage in ("garbage\n", "[1]\n", "{}\n"):
        (run / "metrics.jsonl").write_text(damage + rows)
        fails(["--resume", "run", "--iterations", "3"], "metrics.jsonl", "line 1")
    (run / "metrics.jsonl").unlink()
    for target in ("nowhere", "metrics.jsonl"):
        (run / "metrics.jsonl").symlink_to(target)
        fails(["--resume", "run", "--iterations", "3"], "metrics.jsonl", "cannot be read")
        (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").mkdir()
    fails(["--resume", "run", "--iterations", "3"], "metrics.jsonl", "Is a directory")
    (run / "metrics.jsonl").rmdir()
    (run / "metrics.jsonl").write_text(rows)
    for path in checkpoint.parent.iterdir():
        path.unlink()
    fails(["--resume", "run"], "--resume", "run", "checkpoint")


def test_a_run_that_another_process_writes_or_that_has_ended(fails, tmp_path, capsys) -> None:
    train(tmp_path / "run", "--iterations", "1")
    capsys.readouterr()
    with lock_run_dir(tmp_path / "run"):
        fails(["--resume", "run", "--iterations", "2"], "--resume", "run", "no other process")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(["--resume", "run"]) == 0
    assert "has done its 1 iterations" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_family_that_a_config_of_a_run_names_must_exist(fails, tmp_path, capsys) -> None:
    train(tmp_path / "run", "--iterations", "0")
    capsys.readouterr()
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("navigation-2d", "navigation-3d"))
    fails(["--resume", "run"], "config.yaml", "'navigation-3d'", "nearest: navigation-2d")
