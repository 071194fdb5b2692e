"""The tasks that ship by name, drawn anew."""

import json

import numpy as np
import pytest
import torch

from maml_rl import envs
from maml_rl.options.given_tasks import EPISODES, NAMED_TASKS, load_tasks


def uniform(low: float, high: float, *size: int, seed: int = 1) -> np.ndarray:
    """Draws as those of the authors' test scripts, after np.random.seed(seed)."""
    return np.random.RandomState(seed).uniform(low, high, size)


# Finn et al. 2017's test scripts. A direction is a draw too: backward below the middle of its range.
PAPER = {
    "navigation-2d": uniform(-0.5, 0.5, 40, 2),
    "halfcheetah-vel": uniform(0, 2, 40, 1),
    "halfcheetah-dir": np.where(uniform(0, 2, 40, 1) < 1.0, -1.0, 1.0),
    "ant-vel": uniform(0, 3, 40, 1),
    "ant-dir": np.where(uniform(0, 3, 40, 1, seed=2) < 1.5, -1.0, 1.0),
}


@pytest.mark.parametrize("env", PAPER)
def test_the_paper_s_tasks_are_the_authors_draws(env) -> None:
    family = envs.make_family(env)
    tasks = load_tasks("maml-paper", env, family)
    assert torch.equal(tasks, torch.as_tensor(PAPER[env]))  # to the last bit
    assert json.loads((NAMED_TASKS / "maml-paper" / f"{env}.json").read_text()) == PAPER[env].tolist()


def test_the_paper_s_speeds_average_what_is_known_of_them() -> None:
    assert PAPER["halfcheetah-vel"].mean() == pytest.approx(0.92, abs=0.005)  # m/s


def test_each_name_has_a_file_and_episodes_for_the_same_families() -> None:
    assert {path.name for path in NAMED_TASKS.iterdir()} == set(EPISODES)
    for name, episodes in EPISODES.items():
        assert {path.name for path in (NAMED_TASKS / name).iterdir()} == {f"{env}.json" for env in episodes}
    # Steps for each task and gradient step: episodes times the paper's horizon.
    horizons = {env: envs.make_family(env).horizon for env in PAPER}
    steps = {env: episodes * horizons[env] for env, episodes in EPISODES["maml-paper"].items()}
    assert steps == {env: 8000 if env == "ant-dir" else 4000 for env in PAPER}
