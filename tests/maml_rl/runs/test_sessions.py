import json

import pytest
import torch

from maml_rl.machine.computer import computer
from maml_rl.machine.versions import versions
from maml_rl.runs.sessions import FILE, MAX_SESSIONS, Session, add_session, read_sessions
from maml_rl.train import main
from tests.maml_rl.test_train import train

SESSION = Session("python -m maml_rl.train", "2026-01-01T00:00:00+00:00", 0, None, 1, {"Python": "3"}, {"CPUs": "2"})


def test_a_run_keeps_its_commands_versions_and_computer(tmp_path) -> None:
    run = tmp_path / "a run"
    train(run, "--iterations", "1")
    assert main(["--resume", str(run), "--iterations", "2"]) == 0
    assert main(["--resume", str(run)]) == 0  # it is done, and nothing is trained
    first, second = read_sessions(run)
    assert first.command.startswith("python -m maml_rl.train --env navigation-2d")
    assert f"--run-dir '{run}'" in first.command
    assert second.command == f"python -m maml_rl.train --resume '{run}' --iterations 2"
    assert [first.iteration, second.iteration] == [0, 1]
    assert first.versions == versions()
    assert {"Python", "maml_rl", "PyTorch", "MuJoCo", "Gymnasium"} <= first.versions.keys()
    assert first.computer == computer(torch.device("cpu"))
    assert first.computer["device"] == "cpu"


def test_the_first_and_the_last_sessions_are_kept(tmp_path) -> None:
    for number in range(MAX_SESSIONS + 5):
        add_session(tmp_path, Session(**vars(SESSION) | {"iteration": number}))
    numbers = [each.iteration for each in read_sessions(tmp_path)]
    assert numbers == [0, *range(6, MAX_SESSIONS + 5)]


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", "[{}]", "null"])
def test_a_damaged_file_is_passed_over(tmp_path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert read_sessions(tmp_path) == []
    add_session(tmp_path, SESSION)
    assert read_sessions(tmp_path) == [SESSION]


@pytest.mark.parametrize("change", [{"command": 1}, {"iteration": -1}, {"versions": []}, {"computer": {"CPUs": 2}}])
def test_a_value_of_another_kind_is_passed_over(tmp_path, change: dict) -> None:
    (tmp_path / FILE).write_text(json.dumps([vars(SESSION) | change]))
    assert read_sessions(tmp_path) == []
