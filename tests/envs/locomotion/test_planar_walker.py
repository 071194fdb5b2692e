import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.locomotion.planar_walker import hopper_rand_params, walker_dir, walker_rand_params
from maml_rl.envs.locomotion.random_model import BASES, RandomModel
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model
from maml_rl.envs.physics.quiet_mujoco import quiet_mujoco
from tests.envs.played import played

RANDOM = [("hopper.xml", hopper_rand_params), ("walker2d_v5.xml", walker_rand_params)]


def actions(steps: int, size: int) -> torch.Tensor:
    """Some beyond the range: 1.0 in actuator units is a policy output of 10."""
    return 30 * torch.rand(steps, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 15


@pytest.mark.parametrize(("name", "make"), [("Walker2d-v5", walker_dir), ("Hopper-v5", hopper_rand_params)])
def test_states_rewards_and_falls_equal_gymnasium(name: str, make) -> None:
    env = played(make(), 1, 1)
    nominal = torch.zeros(1, *env.task_shape) if env.random_model else torch.ones(1, 1)
    env.reset(nominal, KeyedGenerator(5))
    with quiet_mujoco:
        other = gymnasium.make(name, max_episode_steps=-1).unwrapped
    other.reset(seed=0)
    other.set_state(env.physics.qpos[0, 0].numpy(), env.physics.qvel[0, 0].numpy())
    assert env.dt == pytest.approx(other.dt)
    falls = []
    for action in actions(200, env.action_size):
        observation, reward, terminated = env.step(action[None, None])
        expected, _, fell, _, info = other.step((0.1 * action).clamp(-1, 1).numpy())
        state = torch.cat([env.physics.qpos, env.physics.qvel], dim=-1)[0, 0]
        np.testing.assert_allclose(state, np.r_[other.data.qpos, other.data.qvel], rtol=0, atol=1e-12)
        np.testing.assert_allclose(observation[0, 0], expected, rtol=0, atol=1e-12)
        assert reward.item() == pytest.approx(info["reward_forward"] + info["reward_ctrl"] + 1, abs=1e-10)
        assert terminated.item() == fell
        falls.append(fell)
    assert 0 < sum(falls) < 200


@pytest.mark.parametrize(("model", "make"), RANDOM)
def test_a_body_is_the_same_in_the_batch_and_alone(model: str, make) -> None:
    env = played(make(), 2, 2)
    before = {name: getattr(env.physics.model, name).copy() for name in BASES}
    tasks = env.sample_tasks(2, KeyedGenerator(3))
    for _ in range(2):  # the second time from bodies that were set before
        env.reset(tasks, KeyedGenerator(5))
    start = env.snapshot()
    given = actions(100, env.action_size)
    for action in given:
        env.step(action.expand(2, 2, -1))
    for i in range(2):
        single = env.random_model.single(tasks[i])
        data = mujoco.MjData(single)
        data.qpos[:], data.qvel[:] = start[i, 1, : single.nq].numpy(), start[i, 1, single.nq :].numpy()
        for action in given:
            data.ctrl[:] = (0.1 * action).clamp(-1, 1).numpy()
            mujoco.mj_step(single, data, 4)
        np.testing.assert_allclose(env.snapshot()[i, 1], np.r_[data.qpos, data.qvel], rtol=0, atol=1e-9)
    assert not torch.allclose(env.snapshot()[0], env.snapshot()[1], atol=1e-3)
    for name, values in before.items():  # the nominal model never drifts
        assert np.array_equal(getattr(env.physics.model, name), values)


def test_factors_have_the_published_range() -> None:
    model = load_gymnasium_model("walker2d_v5.xml")
    bodies = RandomModel(model)
    fields = bodies.fields(bodies.sample(500, KeyedGenerator(0)))
    for name, base in BASES.items():
        nominal = torch.from_numpy(getattr(model, name))
        factors = (fields[name] / nominal)[:, nominal != 0]
        assert base**-3 <= factors.min() < base**-2.9
        assert base**2.9 < factors.max() <= base**3
    assert (fields["body_mass"][:, 0] == 0).all()  # the world


def test_zero_exponents_are_the_nominal_body() -> None:
    plain, random = played(walker_dir(), 1, 1), played(walker_rand_params(), 1, 1)
    observations = [
        plain.reset(torch.ones(1, 1), KeyedGenerator(5)),
        random.reset(torch.zeros(1, *random.task_shape), KeyedGenerator(5)),
    ]
    for action in actions(50, 6):
        observations = [env.step(action[None, None])[0] for env in (plain, random)]
    torch.testing.assert_close(*observations)
