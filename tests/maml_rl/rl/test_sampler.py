from dataclasses import fields

import pytest
import torch

from maml_rl import envs
from maml_rl.envs import KeyedGenerator
from maml_rl.envs.toys.navigation import Navigation2D
from maml_rl.machine import threads as parallel
from maml_rl.meta.algorithm import FeedForward
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.sampler import collect
from maml_rl.rl.trajectories import Trajectories
from tests.envs.played import played

M, E, H = 3, 4, 25


def roll_out(
    name: str, key: int = 1, num_threads: int = 1, log_std: float = 0.0, parts: tuple[int, ...] = (M,)
) -> Trajectories:
    env_parts = [played(name, num_tasks, E, num_threads=num_threads) for num_tasks in parts]
    env = env_parts[0]
    policy = MlpPolicy(env.observation_size, env.action_size, (8,), init_log_std=log_std)
    theta_M = policy.initial_parameters(KeyedGenerator(0)).expand(M, -1)
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    simulations = [each.simulation for each in env_parts]
    return collect(env.family, simulations, FeedForward(policy, theta_M), tasks, KeyedGenerator(0, key), H)


@pytest.fixture(params=list(envs.ENVS))
def name(request) -> str:
    return request.param


def test_shapes(name: str) -> None:
    trajectories = roll_out(name)
    assert trajectories.observations.shape[:3] == trajectories.actions.shape[:3] == (M, E, H)
    assert trajectories.rewards.shape == trajectories.mask.shape == trajectories.terminated.shape == (M, E, H)
    assert trajectories.final_observations.shape == (M, E, trajectories.observations.shape[-1])
    assert trajectories.num_steps() == trajectories.mask.sum() > 0


def test_every_task_and_episode_sees_its_own_noise_and_the_same_seed_sees_the_same(name: str) -> None:
    first, again, other = roll_out(name), roll_out(name), roll_out(name, key=2)
    assert torch.equal(first.actions, again.actions)
    assert torch.equal(first.rewards, again.rewards)
    rows = torch.cat([each.actions[:, :, 0].flatten(0, 1) for each in (first, other)])
    assert len(rows.unique(dim=0)) == 2 * M * E


def test_threads_change_nothing() -> None:
    one, two = roll_out("halfcheetah-vel", num_threads=1), roll_out("halfcheetah-vel", num_threads=2)
    assert torch.equal(one.observations, two.observations)
    assert torch.equal(one.rewards, two.rewards)


@pytest.mark.parametrize("parts", [(2, 1), (1, 1, 1)])
def test_parts_change_nothing(name: str, parts: tuple[int, ...]) -> None:
    whole, in_parts = roll_out(name), roll_out(name, parts=parts)
    for field in fields(Trajectories):
        assert torch.equal(getattr(whole, field.name), getattr(in_parts, field.name)), field.name


def test_an_error_in_one_part_ends_the_others_at_once(monkeypatch) -> None:
    """An interrupt takes the same way: nobody waits for the end of a rollout."""
    monkeypatch.setattr(parallel, "_num_workers", 2)
    family = envs.make_family("halfcheetah-vel")
    simulations = [family.simulate(1, E, num_threads=1) for _ in range(2)]
    steps = 0

    def fail(actions: torch.Tensor):
        raise KeyError("physics")

    def count(actions: torch.Tensor, step=simulations[1].step):
        nonlocal steps
        steps += 1
        return step(actions)

    simulations[0].step, simulations[1].step = fail, count  # type: ignore[method-assign]
    policy = MlpPolicy(20, 6, (8,))
    theta_M = policy.initial_parameters(KeyedGenerator(0)).expand(2, -1)
    with pytest.raises(KeyError, match="physics"):
        collect(family, simulations, FeedForward(policy, theta_M), torch.ones(2, 1), KeyedGenerator(0), horizon=100_000)
    assert steps < 10_000


def test_observations_and_actions_belong_together(name: str) -> None:
    """Stepping an env by hand with the stored actions meets the stored observations and rewards."""
    trajectories = roll_out(name)
    env = played(name, M, E, num_threads=1)
    observations = env.reset(env.sample_tasks(M, KeyedGenerator(0, 0)), KeyedGenerator(0, 1))
    for t in range(H):
        torch.testing.assert_close(trajectories.observations[:, :, t], observations.float(), rtol=0, atol=0)
        observations, rewards, _ = env.step(trajectories.actions[:, :, t].double())
        torch.testing.assert_close(trajectories.rewards[:, :, t], rewards, rtol=0, atol=0)
    torch.testing.assert_close(trajectories.final_observations, observations.float(), rtol=0, atol=0)


def test_stored_actions_are_not_clipped() -> None:
    """The log-probability is that of the sampled action; the cost alone sees the clipped one."""
    trajectories = roll_out("halfcheetah-vel", log_std=1.0)
    assert trajectories.actions.abs().max() > 3
    assert (trajectories.rewards > -100).all()


def test_each_task_acts_by_its_own_policy() -> None:
    family = Navigation2D()
    policy = MlpPolicy(2, 2, (), min_log_std=-20.0, init_log_std=-20.0)
    theta = policy.initial_parameters(KeyedGenerator(0))
    right, left = theta.clone(), theta.clone()
    right[4:6], left[4:6] = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])  # the bias
    right[:4] = left[:4] = 0
    goals = torch.tensor([[0.5, 0.0], [0.5, 0.0]])
    actor = FeedForward(policy, torch.stack([right, left]))
    trajectories = collect(family, [family.simulate(2, 3)], actor, goals, KeyedGenerator(0), horizon=8)
    assert trajectories.first.sum(dim=-1).tolist() == [[5] * 3, [8] * 3]  # five steps of 0.1 m to the goal
    assert trajectories.times[0].tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]] * 3
    assert trajectories.terminated[0].nonzero()[:, 1].tolist() == [4] * 3
    assert trajectories.unfinished()[0].nonzero()[:, 1].tolist() == [7] * 3
    assert not trajectories.terminated[1].any()  # a time limit is not a termination
    assert not trajectories.unfinished()[1].any()
    torch.testing.assert_close(trajectories.observations[1, 0, :, 0], -0.1 * torch.arange(8.0))
    expected = (-(0.4 + 0.3 + 0.2 + 0.1) - (0.6 + 0.7 + 0.8 + 0.9 + 1.0 + 1.1 + 1.2 + 1.3)) / 2
    assert trajectories.mean_return() == pytest.approx(expected, abs=1e-6)


def test_a_diverged_episode_is_masked_and_counted() -> None:
    env = played("halfcheetah-vel", M, E, num_threads=1)
    policy = MlpPolicy(env.observation_size, env.action_size, (8,))
    theta_M = policy.initial_parameters(KeyedGenerator(0)).expand(M, -1)
    step, calls = env.simulation.step, []

    def failing_step(actions: torch.Tensor):
        calls.append(None)
        if len(calls) == 10:
            env.physics.qvel[1, 2] = float("inf")  # type: ignore[attr-defined]
        return step(actions)

    tasks = env.sample_tasks(M, KeyedGenerator(0))
    env.simulation.step = failing_step  # type: ignore[method-assign]
    trajectories = collect(env.family, [env.simulation], FeedForward(policy, theta_M), tasks, KeyedGenerator(1), H)
    assert trajectories.diverged.nonzero().tolist() == [[1, 2]]
    assert not trajectories.mask[1, 2].any()
    assert trajectories.num_steps() == (M * E - 1) * H
    assert torch.isfinite(torch.tensor(trajectories.mean_return()))
