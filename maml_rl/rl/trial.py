"""The episodes of a trial as one long one: what they pay counts across the borders between them."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from maml_rl.envs.wrappers.trial import ended_tail
from maml_rl.rl.trajectories import Trajectories


def joined(episodes: Sequence[Trajectories], tail_size: int) -> Trajectories:
    """The episodes of one trial, n times [M, E, H, ...], one after another: [M, E, n H, ...].

    Nothing ends in it, whatever ended an episode, and its times count the trial's steps: the return of a step is that
    of the rest of the trial (Duan et al. 2016, section 2.2). The first observation of each later episode has the step
    before in its tail, as the policy saw it.
    """
    first = episodes[0]
    observations = [each.observations for each in episodes]
    for k, before in enumerate(episodes[:-1], start=1):
        start = with_tail(observations[k][:, :, 0], next_tail(before, tail_size))
        observations[k] = torch.cat([start[:, :, None], observations[k][:, :, 1:]], dim=2)
    rewards = torch.cat([each.rewards for each in episodes], dim=2)
    nothing = torch.zeros_like(rewards, dtype=torch.bool)
    return dataclasses.replace(
        episodes[-1],
        observations=torch.cat(observations, dim=2),
        actions=torch.cat([each.actions for each in episodes], dim=2),
        rewards=rewards,
        times=torch.arange(rewards.shape[-1], device=rewards.device).expand_as(rewards),
        terminated=nothing,
        truncated=nothing,
        diverged=torch.stack([each.diverged for each in episodes]).any(dim=0),
        outputs=torch.cat([each.outputs for each in episodes], dim=2),
        cut_observations=first.outputs.new_empty(0),
        successes=first.outputs.new_empty(0),
    )


def next_tail(trajectories: Trajectories, tail_size: int) -> Tensor:
    """[M, E, tail_size]: the tail of the first observation of the trial's next episode."""
    return ended_tail(trajectories.final_observations[..., -tail_size:])


def with_tail(observations: Tensor, tail: Tensor) -> Tensor:
    """Observations [M, E, O] with another tail [M, E, T] in the end."""
    return torch.cat([observations[..., : -tail.shape[-1]], tail], dim=-1)
