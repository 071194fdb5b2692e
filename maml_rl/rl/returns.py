"""Discounted returns and generalised advantage estimation."""

import torch
from torch import Tensor


def discounted_returns(rewards: Tensor, ended: Tensor, discount: float) -> Tensor:
    """Reward-to-go G_t = r_t + discount * G_{t+1}, cut at the ends of episodes.

    rewards: [M, E, H], in the environment's reward units. ended: [M, E, H] bool: the next step belongs to another
    episode. Returns [M, E, H]. Rewards after the end of an episode do not reach back across it.
    """
    return _discounted_suffix_sums(rewards, ended, discount)


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    values_tp1: Tensor,
    ended: Tensor,
    discount: float,
    gae_lambda: float,
) -> Tensor:
    """A_t = delta_t + discount * lambda * A_{t+1}, with delta_t = r_t + discount * V_{t+1} - V_t.

    Generalised advantage estimation (Schulman et al. 2016, eq. 16).
    rewards, values: [M, E, H]. values_tp1: [M, E, H], of the state that each step led to: 0 for a terminal one and at
    the time limit. ended: [M, E, H] bool: the next step belongs to another episode. Returns [M, E, H].
    """
    deltas = rewards + discount * values_tp1 - values
    return _discounted_suffix_sums(deltas, ended, discount * gae_lambda)


def _discounted_suffix_sums(x: Tensor, ended: Tensor, decay: float) -> Tensor:
    """y_t = x_t + decay * y_{t+1}, y_{t+1} taken as 0 if ended_t. All [M, E, H].

    A scan in log2(H) rounds: sums of 2n steps from sums of n steps.
    """
    y, n = x.clone(), 1
    factor = torch.full_like(x, decay).masked_fill(ended, 0.0)  # the share in y_t of the sum that begins at t + n
    while n < x.shape[-1]:
        y[..., :-n] += factor[..., : x.shape[-1] - n] * y[..., n:]
        factor = factor[..., :-n] * factor[..., n:]
        n *= 2
    return y
