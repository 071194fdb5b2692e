import torch

from maml_rl.rl.returns import discounted_returns, generalized_advantages

# Two simulations of a task, 4 steps: one episode without an end, and one of two steps followed by another of two.
REWARDS = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]], dtype=torch.float64)
VALUES = torch.tensor([[[0.5, 1.0, -1.0, 2.0], [3.0, 1.0, -2.0, 4.0]]], dtype=torch.float64)
VALUES_TP1 = torch.tensor([[[1.0, -1.0, 2.0, 10.0], [1.0, 0.0, 4.0, 0.0]]], dtype=torch.float64)
ENDED = torch.tensor([[[False, False, False, True], [False, True, False, True]]])


def test_returns_by_hand() -> None:
    returns = discounted_returns(REWARDS, ENDED, 0.5)
    first = [1 + 0.5 * (2 + 0.5 * (3 + 0.5 * 4)), 2 + 0.5 * (3 + 0.5 * 4), 3 + 0.5 * 4, 4]
    torch.testing.assert_close(returns, torch.tensor([[first, [5 + 0.5 * 6, 6, 7 + 0.5 * 8, 8]]], dtype=torch.float64))


def test_advantages_by_hand() -> None:
    advantages = generalized_advantages(REWARDS, VALUES, VALUES_TP1, ENDED, discount=0.5, gae_lambda=0.4)
    d3 = 4 + 0.5 * 10 - 2
    d2 = 3 + 0.5 * 2 + 1
    d1 = 2 + 0.5 * -1 - 1
    d0 = 1 + 0.5 * 1 - 0.5
    a2 = d2 + 0.2 * d3
    a1 = d1 + 0.2 * a2
    torch.testing.assert_close(advantages[0, 0], torch.tensor([d0 + 0.2 * a1, a1, a2, d3], dtype=torch.float64))
    e0, e1 = 5 + 0.5 * 1 - 3, 6 - 1
    e2, e3 = 7 + 0.5 * 4 + 2, 8 - 4  # the next episode, which the first one does not see
    expected = torch.tensor([e0 + 0.2 * e1, e1, e2 + 0.2 * e3, e3], dtype=torch.float64)
    torch.testing.assert_close(advantages[0, 1], expected)


def test_lambda_one_is_bootstrapped_return_minus_value() -> None:
    advantages = generalized_advantages(REWARDS, VALUES, VALUES_TP1, ENDED, discount=0.9, gae_lambda=1.0)
    bootstrapped = REWARDS + 0.9 * VALUES_TP1.where(ENDED, 0.0)
    torch.testing.assert_close(advantages, discounted_returns(bootstrapped, ENDED, 0.9) - VALUES)


def test_lambda_zero_is_the_temporal_difference() -> None:
    advantages = generalized_advantages(REWARDS, VALUES, VALUES_TP1, ENDED, discount=0.9, gae_lambda=0.0)
    torch.testing.assert_close(advantages, REWARDS + 0.9 * VALUES_TP1 - VALUES)
