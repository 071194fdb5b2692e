import gymnasium
import gymnasium.utils.seeding
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import maml_rl  # noqa: F401 - registers the families
from maml_rl import envs
from maml_rl.envs import KeyedGenerator
from maml_rl.envs.gymnasium_registry import NAMES
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.envs.single_task_env import SingleTaskEnv
from tests.envs.played import played


@pytest.fixture(params=list(NAMES.values()))
def name(request) -> str:
    return f"maml_rl/{request.param}-v0"


def test_every_family_is_there() -> None:
    assert set(NAMES) == set(envs.ENVS)


@pytest.mark.filterwarnings("ignore::UserWarning")  # unbounded observations, which are the families' own
def test_gymnasium_finds_no_fault(name: str) -> None:
    env = gymnasium.make(name)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("family", list(NAMES))
def test_equals_the_family(family: str) -> None:
    env = gymnasium.make(f"maml_rl/{NAMES[family]}-v0").unwrapped
    start, info = env.reset(seed=3)
    alone = played(family, 1, 1, num_threads=1)
    generator = KeyedGenerator(0, *gymnasium.utils.seeding.np_random(3)[0].integers(2**32, size=2).tolist())
    tasks = alone.sample_tasks(1, generator)
    np.testing.assert_array_equal(info["task"], tasks[0])
    np.testing.assert_array_equal(start, alone.reset(tasks, generator)[0, 0])
    env.action_space.seed(0)
    for _ in range(alone.horizon):
        action = env.action_space.sample()
        observation, reward, terminated, truncated, _ = env.step(action)
        row = np.eye(alone.action_size)[action] if alone.discrete else action
        expected = alone.step(torch.from_numpy(row)[None, None])
        np.testing.assert_array_equal(observation, expected[0][0, 0])
        assert (reward, terminated) == (expected[1].item(), expected[2].item())
        if terminated:
            break
    assert terminated or truncated


def test_equals_a_simulation_of_a_batch_step_by_step() -> None:
    env = gymnasium.make("maml_rl/HalfCheetahVel-v0", task=1.5)
    observation, info = env.reset(seed=3)
    assert info["task"] == [1.5]
    batched = played("halfcheetah-vel", 2, 3, num_threads=1)
    batched.reset(torch.full((2, 1), 1.5), KeyedGenerator(0))
    batched.physics.qpos[1, 2] = env.unwrapped._simulation.physics.qpos[0, 0]  # type: ignore[attr-defined]
    batched.physics.qvel[1, 2] = env.unwrapped._simulation.physics.qvel[0, 0]  # type: ignore[attr-defined]
    _, batched.simulation._place = batched._senses.observe()  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    for t in range(200):
        action = rng.uniform(-1, 1, 6)
        observation, reward, terminated, truncated, _ = env.step(action)
        expected, rewards, _ = batched.step(torch.from_numpy(action).expand(2, 3, 6))
        np.testing.assert_allclose(observation, expected[1, 2], rtol=0, atol=1e-12)
        assert reward == pytest.approx(rewards[1, 2].item(), abs=1e-10)
        assert not terminated
        assert truncated == (t == 199)  # the paper's horizon


def test_tasks() -> None:
    env = gymnasium.make("maml_rl/Navigation2D-v0")
    drawn = {tuple(env.reset(seed=seed)[1]["task"]) for seed in range(5)}
    assert len(drawn) == 5
    _, info = env.reset(options={"task": (0.3, -0.2)})
    assert info["task"].tolist() == [0.3, -0.2]
    _, reward, *_ = env.step(np.array([1.0, 0.0]))
    assert reward == pytest.approx(-np.hypot(0.2, 0.2))
    with pytest.raises(ValueError, match=r"task: got shape \(3,\), allowed: \(2,\)"):
        env.reset(options={"task": (1, 2, 3)})
    for task, message in ((np.nan, "finite"), ("fast", "allowed: numbers")):
        with pytest.raises(ValueError, match=message):
            env.reset(options={"task": (task, 0.1)})
    with pytest.raises(ValueError, match="allowed: 'task'"):
        env.reset(options={"tsk": (0.3, -0.2)})
    with pytest.raises(ValueError, match="variant: got 'prom'"):
        SingleTaskEnv("navigation-2d", variant="prom")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="render_mode"):
        SingleTaskEnv("navigation-2d", render_mode="human")


def test_pictures(name: str) -> None:
    env = gymnasium.make(name, render_mode="rgb_array")
    env.reset(seed=0)
    try:
        first = env.render()
    except RenderingError as error:
        pytest.skip(str(error))
    for _ in range(10):
        env.step(env.action_space.sample())
    last = env.render()
    env.close()
    assert first.shape == last.shape == (480, 480, 3)
    assert (first != last).any()


@pytest.mark.parametrize(("family", "action"), [("bandit", -1), ("bandit", 5), ("navigation-2d", [0.0, np.nan, 1.0])])
def test_actions_that_cannot_be(family: str, action) -> None:
    env = SingleTaskEnv(family)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action: got"):
        env.step(action)
