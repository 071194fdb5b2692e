import torch

from maml_rl.returns import discounted_returns, generalized_advantages

# Two episodes of a task, 4 steps: one cut by the time limit, one terminated at its second step.
REWARDS = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 0.0, 0.0]]], dtype=torch.float64)
VALUES = torch.tensor([[[0.5, 1.0, -1.0, 2.0], [3.0, 1.0, 7.0, 7.0]]], dtype=torch.float64)
FINAL_VALUES = torch.tensor([[10.0, 7.0]], dtype=torch.float64)
TERMINATED = torch.tensor([[[False, False, False, False], [False, True, False, False]]])
MASK = torch.tensor([[[True, True, True, True], [True, True, False, False]]])


def test_returns_by_hand() -> None:
    returns = discounted_returns(REWARDS, TERMINATED, 0.5)
    expected = [[1 + 0.5 * (2 + 0.5 * (3 + 0.5 * 4)), 2 + 0.5 * (3 + 0.5 * 4), 3 + 0.5 * 4, 4], [5 + 0.5 * 6, 6, 0, 0]]
    torch.testing.assert_close(returns, torch.tensor([expected], dtype=torch.float64))


def test_advantages_by_hand() -> None:
    advantages = generalized_advantages(REWARDS, VALUES, FINAL_VALUES, TERMINATED, MASK, discount=0.5, gae_lambda=0.4)
    d3 = 4 + 0.5 * 10 - 2  # the time limit: what lies beyond has a value
    d2 = 3 + 0.5 * 2 + 1
    d1 = 2 + 0.5 * -1 - 1
    d0 = 1 + 0.5 * 1 - 0.5
    a2 = d2 + 0.2 * d3
    a1 = d1 + 0.2 * a2
    torch.testing.assert_close(advantages[0, 0], torch.tensor([d0 + 0.2 * a1, a1, a2, d3], dtype=torch.float64))
    e1 = 6 - 1  # the termination: nothing lies beyond, whatever value is stored there
    e0 = 5 + 0.5 * 1 - 3
    torch.testing.assert_close(advantages[0, 1, :2], torch.tensor([e0 + 0.2 * e1, e1], dtype=torch.float64))


def test_lambda_one_is_bootstrapped_return_minus_value() -> None:
    advantages = generalized_advantages(REWARDS, VALUES, FINAL_VALUES, TERMINATED, MASK, discount=0.9, gae_lambda=1.0)
    bootstrapped = REWARDS.clone()
    bootstrapped[0, 0, -1] += 0.9 * FINAL_VALUES[0, 0]
    expected = discounted_returns(bootstrapped, TERMINATED, 0.9) - VALUES
    torch.testing.assert_close(advantages[0, 0], expected[0, 0])
    torch.testing.assert_close(advantages[0, 1, :2], expected[0, 1, :2])


def test_lambda_zero_is_the_temporal_difference() -> None:
    advantages = generalized_advantages(REWARDS, VALUES, FINAL_VALUES, TERMINATED, MASK, discount=0.9, gae_lambda=0.0)
    torch.testing.assert_close(advantages[0, 0, 0], REWARDS[0, 0, 0] + 0.9 * VALUES[0, 0, 1] - VALUES[0, 0, 0])
    torch.testing.assert_close(advantages[0, 1, 1], REWARDS[0, 1, 1] - VALUES[0, 1, 1])


def test_a_truncated_episode_has_the_value_that_it_was_cut_off_at() -> None:
    """As if its last masked step were the time limit; what stands behind does not matter."""
    truncated = torch.zeros_like(TERMINATED)
    advantages = generalized_advantages(REWARDS, VALUES, FINAL_VALUES, truncated, MASK, discount=0.5, gae_lambda=0.4)
    e1 = 6 + 0.5 * 7 - 1
    e0 = 5 + 0.5 * 1 - 3
    expected = torch.tensor([e0 + 0.2 * e1, e1, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(advantages[0, 1], expected)
