"""Sizes that no machine has are refused before anything is made."""

import pytest

from maml_rl.machine import memory
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.options.size import bytes_needed
from maml_rl.train import main
from tests.maml_rl.test_train import TINY


@pytest.mark.parametrize("env", ["navigation-2d", "halfcheetah-vel", "bandit"])
@pytest.mark.parametrize(
    "sizes",
    [
        ("--num-tasks", "1000000", "--episodes-per-task", "1000000"),
        ("--num-tasks", "1000", "--episodes-per-task", "1000", "--horizon", "1000000"),
        ("--num-tasks", "1000000", "--hidden-sizes", "10000", "10000"),
    ],
)
def test_too_large(tmp_path, capsys, env, sizes) -> None:
    run = tmp_path / "run"
    assert main(["--env", env, *TINY, *sizes, "--run-dir", str(run)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "GB or more, allowed: sizes that fit into the" in line
    assert not run.exists()


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("999000\n")
    assert main(["--env", "navigation-2d", *TINY, "--run-dir", str(tmp_path / "run")]) == 2
    assert "the 0.0 GB that are free" in capsys.readouterr().err
    (tmp_path / "memory.max").write_text("max\n")
    assert main(["--env", "navigation-2d", *TINY, "--iterations", "0", "--run-dir", str(tmp_path / "run")]) == 0


def test_what_is_said_to_be_needed_is_no_more_than_what_an_iteration_holds() -> None:
    """Otherwise a run that fits would be refused: the episodes of 40 x 20 half-cheetahs alone take more than this."""
    config = configure(RlConfig(), {"env": "halfcheetah-vel", "num_tasks": 4, "episodes_per_task": 5})
    setting = make_rl_setting(config)
    needed = bytes_needed(config, setting.family, setting.model, 4)
    steps, rollouts = 4 * 5 * config.horizon, 2
    played = steps * rollouts * 4 * (setting.family.observation_size + 2 * setting.family.action_size)
    assert played < needed < 4 * played
