import subprocess

import pytest

from maml_rl.machine import versions
from maml_rl.machine.versions import commit_of

GIT = ["git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "file").write_text("one")
    for command in (["init", "--quiet"], ["add", "file"], ["commit", "--quiet", "--message", "Begin"]):
        subprocess.run([*GIT, *command], cwd=tmp_path, check=True)
    return tmp_path


def test_the_versions_are_those_that_are_imported() -> None:
    import gymnasium
    import mujoco
    import torch

    line = versions.in_one_line(versions.versions())
    assert line.startswith("maml_rl ")
    assert "\n" not in line
    for name, module in {"PyTorch": torch, "MuJoCo": mujoco, "Gymnasium": gymnasium}.items():
        assert f"{name} {module.__version__.partition('+')[0]}" in line
    assert "unknown" not in line


def test_a_checkout_has_a_commit_and_may_be_changed(checkout) -> None:
    head = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    commit = commit_of(checkout)
    assert head.startswith(commit.removeprefix("commit "))
    assert commit.startswith("commit ")
    (checkout / "another").write_text("git does not know it")
    assert commit_of(checkout) == commit
    (checkout / "file").write_text("two")
    assert commit_of(checkout) == f"{commit}, changed"
    (checkout / "folder").mkdir()  # not a checkout: it stands in one
    assert commit_of(checkout / "folder") == ""


@pytest.mark.parametrize("trouble", ["no git", "a broken checkout", "git that does not answer"])
def test_without_git_there_is_a_line_all_the_same(checkout, monkeypatch, trouble: str) -> None:
    monkeypatch.setattr(versions, "ROOT", checkout)
    if trouble == "no git":
        monkeypatch.setenv("PATH", str(checkout))
    elif trouble == "a broken checkout":
        (checkout / ".git" / "HEAD").write_text("nonsense")
    else:
        monkeypatch.setattr(versions, "GIT_SECONDS", 1e-9)
    assert "commit" not in versions.versions()["maml_rl"]
    assert "PyTorch" in versions.versions()
