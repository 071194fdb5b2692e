"""The families with choices for actions."""

import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.toys.bandit import Bandit
from maml_rl.envs.toys.tabular_mdp import ACTIONS, STATES, TabularMdp
from tests.envs.played import played

EPISODES = 4_000


def test_arms_pay_as_often_as_the_task_says() -> None:
    bandit = played(Bandit(3), 2, EPISODES)
    tasks = torch.tensor([[0.0, 0.3, 1.0], [0.9, 0.5, 0.1]], dtype=torch.float64)
    bandit.reset(tasks, KeyedGenerator(0))
    for arm in range(3):
        pull = torch.nn.functional.one_hot(torch.full((2, EPISODES), arm), 3).double()
        _, reward, terminated = bandit.step(pull)
        assert set(reward.unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(reward.mean(dim=1), tasks[:, arm], atol=0.03, rtol=0)
        assert not terminated.any()
    pulls, wins = bandit.snapshot().tensor_split(2, dim=-1)
    assert (pulls == 1).all()
    torch.testing.assert_close(wins.mean(dim=1), tasks, atol=0.03, rtol=0)


def test_bandits_have_their_arms() -> None:
    sizes = {name: played(name, 1, 1).action_size for name in ("bandit", "bandit-10", "bandit-50")}
    assert sizes == {"bandit": 5, "bandit-10": 10, "bandit-50": 50}
    tasks = Bandit(50).sample_tasks(200, KeyedGenerator(0))
    assert 0 <= tasks.min() < 0.01
    assert 0.99 < tasks.max() < 1


def test_a_process_moves_and_pays_as_its_task_says() -> None:
    mdp = played(TabularMdp(), 2, EPISODES)
    tasks = mdp.sample_tasks(2, KeyedGenerator(1))
    start = mdp.reset(tasks, KeyedGenerator(0))
    assert (start.argmax(dim=-1) == 0).all()
    state = start
    for choice in (1, 4):
        actions = torch.nn.functional.one_hot(torch.full((2, EPISODES), choice), ACTIONS).double()
        following, reward, terminated = mdp.step(actions)
        assert not terminated.any()
        for i in range(2):
            there = state[i].argmax(dim=-1) == state[i, 0].argmax()  # all that were where the first one was
            expected = tasks[i, state[i, 0].argmax(), choice]
            torch.testing.assert_close(following[i, there].mean(dim=0), expected[:-1], atol=0.08, rtol=0)
            error = 4 / there.sum().sqrt().item()
            torch.testing.assert_close(reward[i, there].mean(), expected[-1], atol=error, rtol=0)
            assert abs(reward[i, there].std().item() - 1) < error
        state = following


def test_processes_have_the_published_distribution() -> None:
    tasks = TabularMdp().sample_tasks(300, KeyedGenerator(0))
    assert tasks.shape == (300, STATES, ACTIONS, STATES + 1)
    transitions, means = tasks[..., :-1], tasks[..., -1]
    torch.testing.assert_close(transitions.sum(dim=-1), torch.ones_like(means))
    assert (transitions >= 0).all()
    # Of Dirichlet(1) over n outcomes each probability has mean 1 / n and variance (n - 1) / (n^2 (n + 1)).
    assert abs(transitions.var().item() - 9 / 1100) < 2e-4
    assert abs(means.mean().item() - 1) < 0.05
    assert abs(means.std().item() - 1) < 0.05


def test_draws_of_later_steps_differ() -> None:
    mdp = played(TabularMdp(), 1, 50)
    tasks = mdp.sample_tasks(1, KeyedGenerator(1))
    action = torch.nn.functional.one_hot(torch.zeros(1, 50, dtype=torch.int64), ACTIONS).double()
    rewards = []
    for _ in range(2):
        mdp.reset(tasks, KeyedGenerator(0))
        rewards.append(torch.stack([mdp.step(action)[1] for _ in range(3)]))
    assert torch.equal(rewards[0], rewards[1])
    assert len(rewards[0].unique()) == rewards[0].numel()
