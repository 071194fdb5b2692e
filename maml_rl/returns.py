"""Discounted returns and generalised advantage estimation."""

import torch
from torch import Tensor


def discounted_returns(rewards: Tensor, terminated: Tensor, discount: float) -> Tensor:
    """Reward-to-go G_t = r_t + discount * G_{t+1}, cut at terminations.

    rewards: [M, E, H], in the environment's reward units. terminated: [M, E, H] bool.
    Returns [M, E, H]. What follows a termination does not reach back across it. The sum ends with the data: a time
    limit adds nothing here, and is bootstrapped in the advantages (Pardo et al. 2018, eq. 6).
    """
    return _discounted_suffix_sums(rewards, terminated, discount)


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    final_values: Tensor,
    terminated: Tensor,
    mask: Tensor,
    discount: float,
    gae_lambda: float,
) -> Tensor:
    """A_t = delta_t + discount * lambda * A_{t+1}, with delta_t = r_t + discount * V_{t+1} - V_t.

    Generalised advantage estimation (Schulman et al. 2016, eq. 16).
    rewards, values: [M, E, H]. final_values: [M, E], of the states that the last steps led to. terminated: [M, E, H]
    bool: the next state has no value and no advantage. mask: [M, E, H] bool, false after an episode's end. Where its
    last step is not terminated a time limit cut the episode, and the value of the state that the step led to, a final
    one or the first behind the mask, stands for what was cut off. Returns [M, E, H], 0 outside of the mask.
    """
    values_tp1 = torch.cat([values[..., 1:], final_values[..., None]], dim=-1)
    deltas = (rewards + discount * values_tp1.where(~terminated, 0.0) - values).where(mask, 0.0)
    return _discounted_suffix_sums(deltas, terminated, discount * gae_lambda)


def _discounted_suffix_sums(x: Tensor, terminated: Tensor, decay: float) -> Tensor:
    """y_t = x_t + decay * y_{t+1}, y_{t+1} taken as 0 where terminated_t. All [M, E, H]."""
    y = torch.empty_like(x)
    y_tp1 = torch.zeros_like(x[..., 0])
    for t in reversed(range(x.shape[-1])):
        y_tp1 = x[..., t] + decay * y_tp1.where(~terminated[..., t], 0.0)
        y[..., t] = y_tp1
    return y
