"""The bodies whose rewards depend on contact, against Gymnasium's own."""

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.locomotion.ant import CONTACT_COST, ant_dir, ant_goal, ant_vel
from maml_rl.envs.locomotion.humanoid import humanoid_dir
from maml_rl.envs.physics.quiet_mujoco import quiet_mujoco
from tests.envs.played import played

STEPS = 200
# With these weights Gymnasium's reward is ProMP's along the x axis.
FAMILIES = [
    pytest.param(ant_dir, "Ant-v5", {"ctrl_cost_weight": 0.5}, id="ant"),
    pytest.param(humanoid_dir, "Humanoid-v5", {"forward_reward_weight": 0.25}, id="humanoid"),
]


def forward_and_gymnasium(make, name: str, options: dict):
    """A family's only simulation, told to go along x, and Gymnasium's environment in the same state."""
    env = played(make("promp"), 1, 1)
    env.reset(torch.tensor([[1.0, 0.0]]), KeyedGenerator(5))
    with quiet_mujoco:
        other = gymnasium.make(name, max_episode_steps=-1, **options).unwrapped
    other.reset(seed=0)
    other.set_state(env.physics.qpos[0, 0].numpy(), env.physics.qvel[0, 0].numpy())
    return env, other


def actions(env) -> torch.Tensor:
    """Some beyond the range."""
    draws = torch.rand(STEPS, 1, 1, env.action_size, generator=torch.Generator().manual_seed(0), dtype=env.dtype)
    return env.action_bound * (3 * draws - 1.5)


@pytest.mark.parametrize(("make", "name", "options"), FAMILIES)
def test_states_rewards_and_falls_equal_gymnasium(make, name, options) -> None:
    env, other = forward_and_gymnasium(make, name, options)
    assert env.dt == pytest.approx(other.dt)
    falls = []
    for action in actions(env):
        observation, reward, terminated = env.step(action)
        expected, _, fell, _, info = other.step(env.physics.ctrl[0, 0].numpy())
        state = np.r_[other.data.qpos, other.data.qvel]
        np.testing.assert_allclose(env.snapshot()[0, 0], state, rtol=0, atol=1e-9)
        # Everything but the forces on the bodies, in which Gymnasium leaves out those on the world.
        seen = observation[0, 0, : -6 * env.physics.model.nbody]
        if name == "Humanoid-v5":
            inertias, velocities = slice(45, 185), slice(185, 269)
            theirs = np.r_[state[2:], other.data.cinert.ravel(), other.data.cvel.ravel(), other.data.qfrc_actuator]
            np.testing.assert_allclose(seen[inertias].reshape(14, 10)[1:].ravel(), expected[45:175], rtol=0, atol=1e-9)
            np.testing.assert_allclose(seen[velocities].reshape(14, 6)[1:].ravel(), expected[175:253], atol=1e-8)
            np.testing.assert_allclose(seen, theirs, rtol=0, atol=1e-8)
        else:
            np.testing.assert_allclose(seen, expected[:27], rtol=0, atol=1e-9)
        survived = 5.0 if name == "Humanoid-v5" else 1.0  # Gymnasium pays nothing for the step that led to the fall
        without_contact = info["reward_forward"] + info["reward_ctrl"] + survived
        assert (reward + contact_cost(env)).item() == pytest.approx(without_contact, abs=1e-8)
        assert terminated.item() == fell
        falls.append(fell)
    assert 0 < sum(falls) < STEPS


def contact_cost(env) -> torch.Tensor:
    """The cost of the step before, by the definition."""
    forces = env.physics.field("cfrc_ext").flatten(2)
    if env.action_size == 8:
        return 0.0005 * forces.clamp(-1, 1).square().sum(dim=-1)
    return (5e-7 * forces.square().sum(dim=-1)).clamp(max=10)


@pytest.mark.parametrize(("make", "name", "options"), FAMILIES)
def test_contact_costs_equal_gymnasium_in_the_state_that_they_are_of(make, name, options) -> None:
    """The start of the last substep: Gymnasium's environment stops there, and computes the forces."""
    env, other = forward_and_gymnasium(make, name, options)
    costs = []
    for action in actions(env):
        env.step(action)
        other.do_simulation(env.physics.ctrl[0, 0].numpy(), other.frame_skip - 1)
        mujoco.mj_forward(other.model, other.data)
        mujoco.mj_rnePostConstraint(other.model, other.data)
        forces = env.physics.field("cfrc_ext")[0, 0]
        np.testing.assert_allclose(forces, other.data.cfrc_ext, rtol=1e-7, atol=1e-7)
        assert contact_cost(env).item() == pytest.approx(other.contact_cost, rel=1e-7, abs=1e-12)
        costs.append(other.contact_cost)
        mujoco.mj_step(other.model, other.data)
    assert sum(cost > 0 for cost in costs) > 20  # it does touch the ground


@pytest.mark.parametrize("variant", ["maml", "promp"])
def test_what_the_ants_are_paid_for(variant) -> None:
    tasks = {ant_vel: [2.0], ant_goal: [0.5, -1.0], ant_dir: [-1.0] if variant == "maml" else [0.6, -0.8]}
    for make, task in tasks.items():
        env = played(make(variant), 1, 1)
        env.reset(torch.tensor([task], dtype=torch.float64), KeyedGenerator(5))
        for action in actions(env)[:50]:
            before = env._place.clone()
            _, reward, terminated = env.step(action)
            v = ((env._place - before) / env.dt)[0, 0].tolist()
            (x, y), z = env._place[0, 0].tolist(), env.physics.qpos[0, 0, 2].item()
            squared = env.physics.ctrl.square().sum().item()
            forces = env.physics.field("cfrc_ext")
            clipped = CONTACT_COST * forces.clamp(-1, 1).square().sum().item()
            fell = not 0.2 <= z <= 1.0
            if make is ant_vel:
                expected = 1.05 - abs(v[0] - 2) - 0.005 * squared - clipped
            elif make is ant_goal:
                unclipped = CONTACT_COST * forces.square().sum().item()
                expected, fell = -abs(x - 0.5) - abs(y + 1) - 0.1 * squared - unclipped, False
            elif variant == "maml":
                expected = -v[0] + 0.05 - 0.005 * squared - clipped
            else:
                expected = 0.6 * v[0] - 0.8 * v[1] + 1 - 0.5 * squared - clipped
            assert reward.item() == pytest.approx(expected, abs=1e-9)
            assert terminated.item() == fell
            if fell:
                break
