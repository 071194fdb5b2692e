"""A simulation whose episode ends starts the next one, until every row has its H steps."""

from dataclasses import fields

import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.simulation import Step
from maml_rl.meta.algorithm import FeedForward
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.sampler import collect
from maml_rl.rl.trajectories import Trajectories
from tests.envs.played import played

M, E, H = 3, 4, 40
# Families whose bodies fall often under the noise of exp(2).
FALLING = ["ant-vel", "hopper-rand-params", "walker-dir", "humanoid-dir"]


def roll_out(name: str, parts: tuple[int, ...] = (M,), num_threads: int = 1, horizon: int = H) -> Trajectories:
    env_parts = [played(name, num_tasks, E, "promp", num_threads=num_threads) for num_tasks in parts]
    env = env_parts[0]
    policy = MlpPolicy(env.observation_size, env.action_size, (8,), init_log_std=3.0)
    theta_M = policy.initial_parameters(KeyedGenerator(0)).expand(M, -1)
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    simulations = [each.simulation for each in env_parts]
    return collect(env.family, simulations, FeedForward(policy, theta_M), tasks, KeyedGenerator(0, 1), horizon)


@pytest.mark.parametrize("name", FALLING)
def test_stepping_and_restarting_by_hand_meets_the_same_episodes(name: str) -> None:
    trajectories = roll_out(name)
    assert trajectories.terminated[..., :-1].any()
    env = played(name, M, E, "promp", num_threads=1)
    observations = env.reset(env.sample_tasks(M, KeyedGenerator(0, 0)), KeyedGenerator(0, 1))
    times = torch.zeros(M, E, dtype=torch.int64)
    for t in range(H):
        torch.testing.assert_close(trajectories.observations[:, :, t], observations.float(), rtol=0, atol=0)
        assert torch.equal(trajectories.times[:, :, t], times)
        observations, rewards, ended = env.step(trajectories.actions[:, :, t].double())
        torch.testing.assert_close(trajectories.rewards[:, :, t], rewards, rtol=0, atol=0)
        assert torch.equal(trajectories.terminated[:, :, t], ended)
        times = (times + 1).masked_fill(ended, 0)
        if t + 1 < H and ended.any():
            before = observations.clone()
            observations = env.restart(ended)
            assert torch.equal(observations[~ended], before[~ended])
    assert trajectories.num_steps() == M * E * H


@pytest.mark.parametrize("name", ["ant-vel", "hopper-rand-params"])
def test_neither_parts_nor_threads_change_restarts(name: str) -> None:
    whole = roll_out(name)
    for other in (roll_out(name, parts=(2, 1)), roll_out(name, num_threads=2)):
        for field in fields(Trajectories):
            assert torch.equal(getattr(whole, field.name), getattr(other, field.name)), field.name


@pytest.mark.parametrize("name", FALLING)
def test_every_episode_has_a_start_of_its_own(name: str) -> None:
    trajectories = roll_out(name)
    starts = trajectories.observations[trajectories.times == 0]
    assert len(starts) > M * E
    assert len(starts.unique(dim=0)) == len(starts)
    # All begin in the nominal pose: the first numbers observed, positions, differ by less than the motion does.
    spread = trajectories.observations[..., 1:4].flatten(0, 2).std(dim=0)
    assert (starts[:, 1:4].std(dim=0) < spread).all()


def test_the_nth_episode_of_a_simulation_starts_alike_whenever_it_begins() -> None:
    env = played("ant-vel", M, E, num_threads=1)
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    chosen, everyone = torch.zeros(M, E, dtype=torch.bool), torch.ones(M, E, dtype=torch.bool)
    chosen[1, 2] = True
    env.reset(tasks, KeyedGenerator(0, 1))
    second = env.restart(everyone).clone()
    third = env.restart(everyone).clone()
    env.reset(tasks, KeyedGenerator(0, 1))
    before = env.step(torch.zeros(M, E, 8, dtype=torch.float64))[0].clone()
    restarted = env.restart(chosen)
    assert torch.equal(restarted[chosen], second[chosen])
    assert torch.equal(restarted[~chosen], before[~chosen])  # the maml variant adds a pose, to those that start
    env.step(torch.zeros(M, E, 8, dtype=torch.float64))
    assert torch.equal(env.restart(everyone)[chosen], third[chosen])


class CoinFamily:
    observation_size, action_size, task_shape = 1, 1, (1,)
    action_bound, choices, terminates, truncates = 1.0, (), True, False


class Coin:
    """Each step pays 1, and ends the episode with a chance of 0.1. Observes nothing."""

    device, dtype, overlaps = torch.device("cpu"), torch.float64, False

    def __init__(self, num_tasks: int, episodes_per_task: int) -> None:
        self.num_tasks, self.episodes_per_task = num_tasks, episodes_per_task
        self._observations = torch.zeros(num_tasks, episodes_per_task, 1, dtype=self.dtype)

    def reset(self, tasks, generator):
        self._generator = generator.child()
        return self._observations

    def restart(self, simulations):
        return self._observations

    def step(self, actions):
        ended = self._generator.uniform(self.num_tasks, self.episodes_per_task) < 0.1
        return Step(self._observations, torch.ones(ended.shape, dtype=self.dtype), ended, torch.zeros_like(ended))

    def diverged(self):
        return torch.zeros(self.num_tasks, self.episodes_per_task, dtype=torch.bool)


def test_the_mean_return_favours_neither_short_nor_long_episodes() -> None:
    """The true mean is known; the mean over all episodes that ended is far below it."""
    horizon, env = 20, Coin(20, 200)
    policy = MlpPolicy(1, 1, ())
    theta_M = policy.initial_parameters(KeyedGenerator(0)).expand(20, -1)
    actor, tasks = FeedForward(policy, theta_M), torch.zeros(20, 1)
    trajectories = collect(CoinFamily(), [env], actor, tasks, KeyedGenerator(3), horizon)  # type: ignore[arg-type,list-item]
    true = (1 - 0.9**horizon) / 0.1
    error = float(trajectories.returns().std()) / 4000**0.5
    assert trajectories.mean_return() == pytest.approx(true, abs=4 * error)
    ended = trajectories.ended() & ~trajectories.unfinished()
    assert float((trajectories.times[ended] + 1).double().mean()) < true - 10 * error
    assert trajectories.sums(1.0)["lived"] == trajectories.returns().sum()
