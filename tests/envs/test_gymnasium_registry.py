import copy
import pickle
import subprocess
import sys

import gymnasium
import gymnasium.utils.seeding
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import maml_rl  # noqa: F401 - registers the families
from maml_rl import envs
from maml_rl.envs import KeyedGenerator
from maml_rl.envs.gymnasium_registry import FAMILIES
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.envs.single_task_env import SingleTaskEnv
from tests.envs.played import played
from tests.envs.tasks_for_tests import NAME


@pytest.fixture(params=[name for name, _ in FAMILIES.values()])
def name(request) -> str:
    return f"maml_rl/{request.param}-v0"


def test_every_family_is_there_with_its_horizon() -> None:
    assert set(FAMILIES) == set(envs.ENVS)
    for family, (name, _) in FAMILIES.items():
        assert gymnasium.spec(f"maml_rl/{name}-v0").max_episode_steps == envs.make_family(family).horizon


def test_importing_the_registry_is_cheap() -> None:
    code = "import maml_rl, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.filterwarnings("ignore::UserWarning")  # unbounded observations, which are the families' own
def test_gymnasium_finds_no_fault(name: str) -> None:
    env = gymnasium.make(name)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("family", list(FAMILIES))
def test_equals_the_family(family: str) -> None:
    env = gymnasium.make(f"maml_rl/{FAMILIES[family][0]}-v0")
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
        row = np.eye(alone.action_size)[action] if alone.choices else action
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


@pytest.mark.parametrize("steps", [7, 130])
def test_episodes_are_as_long_as_asked_for(steps: int) -> None:
    """Also longer than in the published protocol, which is 100 steps of navigation, and 10 pulls of a bandit's arms."""
    for name in ("Navigation2D", "Bandit"):
        env = gymnasium.make(f"maml_rl/{name}-v0", max_episode_steps=steps)
        env.reset(seed=0)
        still = 0 * env.action_space.sample()
        assert [env.step(still)[3] for _ in range(steps)] == [False] * (steps - 1) + [True]


def test_an_episode_whose_physics_diverged_is_truncated() -> None:
    env = gymnasium.make("maml_rl/HalfCheetahVel-v0")
    env.reset(seed=0)
    env.unwrapped._simulation.physics.qvel.fill_(1e12)  # type: ignore[attr-defined]
    *_, terminated, truncated, _ = env.step(np.zeros(6))
    assert (terminated, truncated) == (False, True)


def by_pickle(env: gymnasium.Env) -> gymnasium.Env:
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle])
def test_a_copy_plays_the_same_episodes(name: str, copied) -> None:
    env = gymnasium.make(name)
    env.reset(seed=1)
    env.step(env.action_space.sample())
    other = copied(env)
    assert other.spec == env.spec
    for one, two in zip(episode(env, 20), episode(other, 20), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle])
def test_a_copy_has_the_arguments(copied) -> None:
    options = {"variant": "promp", "render_mode": "rgb_array", "width": 64, "max_episode_steps": 3}
    env = copied(gymnasium.make("maml_rl/HalfCheetahVel-v0", task=1.5, **options))
    assert env.observation_space.shape == (17,)
    assert env.render_mode == "rgb_array"
    assert env.unwrapped._picture_size == (64, 480)
    assert env.reset()[1]["task"] == [1.5]
    assert [env.step(np.zeros(6))[3] for _ in range(3)] == [False, False, True]
    env.unwrapped.set_task(0.5)
    assert copied(env).reset()[1]["task"] == [0.5]


def episode(env: gymnasium.Env, steps: int) -> list[np.ndarray]:
    """The task, the observations and the rewards of an episode with a seed."""
    start, info = env.reset(seed=3)
    env.action_space.seed(0)
    numbers = [info["task"], start]
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        numbers += [observation, np.array(reward)]
        if terminated or truncated:
            break
    return numbers


def test_an_episode_begins_with_a_reset() -> None:
    env = gymnasium.make("maml_rl/Navigation2D-v0", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.step(np.zeros(2))[0].shape == (2,)
    for fresh in (copy.deepcopy(env), SingleTaskEnv("navigation-2d", render_mode="rgb_array")):
        with pytest.raises(ResetNeeded):
            fresh.step(np.zeros(2))
        with pytest.raises(ResetNeeded):
            fresh.render()


def test_a_set_task_is_that_of_all_later_episodes() -> None:
    env = gymnasium.make("maml_rl/Navigation2D-v0", task=(0.1, 0.1))
    env.reset(seed=0)
    task = np.array([0.3, -0.2])
    env.unwrapped.set_task(task)  # type: ignore[attr-defined]
    task[:] = 0.0
    assert env.step(np.zeros(2))[1] == pytest.approx(-np.hypot(0.1, 0.1))  # the present one has its own
    for _ in range(2):
        assert env.reset()[1]["task"].tolist() == [0.3, -0.2]
        assert env.step(np.zeros(2))[1] == pytest.approx(-np.hypot(0.3, 0.2))
    with pytest.raises(ValueError, match=r"task: got shape \(3,\), allowed: \(2,\)"):
        env.unwrapped.set_task((1, 2, 3))  # type: ignore[attr-defined]
    env.unwrapped.set_task(None)  # type: ignore[attr-defined]
    assert len({tuple(env.reset(seed=seed)[1]["task"]) for seed in range(3)}) == 3


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


@pytest.mark.parametrize("family", ["navigation-2d", "halfcheetah-vel", "bandit"])
def test_pictures_have_their_size(family: str) -> None:
    env = SingleTaskEnv(family, render_mode="rgb_array", width=64, height=np.int64(16))  # type: ignore[arg-type]
    env.reset(seed=0)
    try:
        assert env.render().shape == (16, 64, 3)  # type: ignore[union-attr]
    except RenderingError as error:
        pytest.skip(str(error))
    finally:
        env.close()


@pytest.mark.parametrize("pixels", [15, 4097, 480.0, True, "480", None])
def test_sizes_that_cannot_be(pixels) -> None:
    with pytest.raises(ValueError, match=r"width: got .*, allowed: an integer from 16 to 4096"):
        SingleTaskEnv("bandit", width=pixels)
    with pytest.raises(ValueError, match=r"height: got .*, allowed: an integer from 16 to 4096"):
        SingleTaskEnv("bandit", height=pixels)


@pytest.mark.parametrize(("family", "action"), [("bandit", -1), ("bandit", 5), ("navigation-2d", [0.0, np.nan, 1.0])])
def test_actions_that_cannot_be(family: str, action) -> None:
    env = SingleTaskEnv(family)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action: got"):
        env.step(action)


def test_an_action_of_several_choices() -> None:
    env = SingleTaskEnv(f"{NAME}:ManyActions")
    assert env.action_space == gymnasium.spaces.MultiDiscrete([2, 3])
    env.reset(seed=0)
    observation, reward, *_ = env.step(np.array([1, 2]))
    assert (observation[2], reward) == (7, 1)  # the last choice of the second component, which begins at 5
    with pytest.raises(ValueError, match="action: got"):
        env.step(np.array([1, 3]))
