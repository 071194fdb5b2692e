import gymnasium
import mujoco
import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.locomotion.half_cheetah import half_cheetah_dir, half_cheetah_vel
from maml_rl.envs.physics.quiet_mujoco import quiet_mujoco
from tests.envs.played import played

FORWARD = torch.ones(1, 1)


def gymnasium_episode(qpos, qvel, actions, frame_skip: int):
    """States, forward velocities and control costs of Gymnasium's own env."""
    with quiet_mujoco:
        env = gymnasium.make("HalfCheetah-v5", frame_skip=frame_skip, max_episode_steps=-1).unwrapped
    env.reset(seed=0)
    env.set_state(qpos, qvel)
    states, velocities, costs = [], [], []
    for action in actions:
        _, _, _, _, info = env.step(action)
        states.append(torch.tensor([*env.data.qpos, *env.data.qvel]))
        velocities.append(info["x_velocity"])
        costs.append(-info["reward_ctrl"])
    return torch.stack(states), torch.tensor(velocities), torch.tensor(costs)


def test_states_and_rewards_equal_gymnasium() -> None:
    env = played(half_cheetah_dir("promp"), 1, 1)
    assert env.dt == pytest.approx(0.05)
    env.reset(FORWARD, KeyedGenerator(5))
    # Some beyond the range: 1.0 in actuator units is a policy output of 10.
    actions = 15 * torch.rand(200, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 5
    clipped = (0.1 * actions).clamp(-1, 1)
    expected = gymnasium_episode(env.physics.qpos[0, 0].numpy(), env.physics.qvel[0, 0].numpy(), clipped.numpy(), 5)
    for action, state, velocity, cost in zip(actions, *expected, strict=True):
        observation, reward, terminated = env.step(action[None, None])
        torch.testing.assert_close(torch.cat([env.physics.qpos, env.physics.qvel], dim=-1)[0, 0], state, rtol=0, atol=0)
        torch.testing.assert_close(observation[0, 0], state[1:], rtol=0, atol=0)
        # Gymnasium's control cost is 0.1 |a|^2, the paper's 0.05 |a|^2.
        torch.testing.assert_close(reward[0, 0], velocity - 0.5 * cost, rtol=0, atol=1e-14)
        assert not terminated


def test_the_maml_variant_moves_by_one_substep_and_observes_the_centre_of_mass() -> None:
    env = played(half_cheetah_vel(), 1, 1)
    assert env.dt == pytest.approx(0.01)
    observation = env.reset(torch.tensor([[0.8]]), KeyedGenerator(5))
    actions = 2 * torch.rand(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    start = env.physics.qpos[0, 0].numpy().copy(), env.physics.qvel[0, 0].numpy().copy()
    states, _, _ = gymnasium_episode(*start, actions.numpy(), 1)
    for action, state in zip(actions, states, strict=True):
        com_before = observation[0, 0, 17:]
        observation, reward, _ = env.step(action[None, None])
        com = observation[0, 0, 17:]
        torch.testing.assert_close(observation[0, 0, :17], state[1:], rtol=0, atol=1e-10)
        velocity = (com[0] - com_before[0]) / 0.01
        torch.testing.assert_close(reward[0, 0], -(velocity - 0.8).abs() - 0.05 * action.square().sum())
        # Current, not one substep behind: the centre of mass of the state just observed.
        data = env.physics.batch.get_data(0)
        mujoco.mj_kinematics(env.physics.model, data)
        masses = env.physics.model.body_mass[:, None]
        expected = torch.from_numpy((masses * data.xipos).sum(axis=0) / masses.sum())
        torch.testing.assert_close(com, expected)


def test_direction_turns_the_reward() -> None:
    env = played(half_cheetah_dir(), 2, 1)
    env.reset(torch.tensor([[1.0], [-1.0]]), KeyedGenerator(5))
    env.physics.qpos[1] = env.physics.qpos[0]
    env.physics.qvel[1] = env.physics.qvel[0]
    actions = torch.full((2, 1, 6), 0.5, dtype=torch.float64)
    env.step(actions)
    _, reward, _ = env.step(actions)
    cost = 0.05 * 6 * 0.25
    torch.testing.assert_close(reward[0] + cost, -(reward[1] + cost))


@pytest.mark.parametrize(("variant", "top"), [("maml", 2.0), ("promp", 3.0)])
def test_ranges_of_tasks(variant, top: float) -> None:
    speeds = half_cheetah_vel(variant).sample_tasks(2000, KeyedGenerator(0))
    assert 0 <= speeds.min() < 0.01 * top
    assert 0.99 * top < speeds.max() <= top
    directions = half_cheetah_dir(variant).sample_tasks(2000, KeyedGenerator(0))
    assert set(directions.flatten().tolist()) == {-1.0, 1.0}
    assert directions.mean().abs() < 0.1


def test_resets_have_the_published_noise() -> None:
    for variant, spread in (("maml", 0.01), ("promp", 0.1 / 3**0.5)):
        env = played(half_cheetah_dir(variant), 20, 100)
        env.reset(env.sample_tasks(20, KeyedGenerator(0)), KeyedGenerator(1))
        offset = env.physics.qpos - torch.from_numpy(env.physics.model.qpos0)
        assert offset.std() == pytest.approx(spread, rel=0.02)
        assert env.physics.qvel.std() == pytest.approx(0.1, rel=0.02)
        assert len(offset.flatten(0, 1).unique(dim=0)) == 2000
