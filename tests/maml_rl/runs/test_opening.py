"""A run that was killed at any moment can be gone on with."""

import shutil

import pytest

from maml_rl.machine.atomic_file import TEMPORARY
from maml_rl.train import main
from tests.maml_rl.test_train import TINY, assert_same_tensors, checkpoint_bytes, train

LATER = ["metrics.jsonl", "environment.json", "checkpoints"]  # than config.yaml


@pytest.mark.parametrize("gone", [LATER, [*LATER, "config.yaml"]])
def test_a_run_that_was_killed_before_its_first_checkpoint(tmp_path, gone) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    for each in (run, whole):
        train(each, "--iterations", "2")
    for path in run.iterdir():
        if path.name in gone or path.name.startswith("events"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (run / "checkpoints").mkdir()
    torn = [run / f"{TEMPORARY}a", run / "checkpoints" / f"{TEMPORARY}b"]
    for path in torn:
        path.write_bytes(b"half of it")
    again = ["--resume", str(run)] if "config.yaml" not in gone else [*TINY, "--iterations", "2", "--run-dir", str(run)]
    assert main(again) == 0
    assert_same_tensors(checkpoint_bytes(run, 2), checkpoint_bytes(whole, 2))
    assert not any(path.exists() for path in torn)
