"""From trajectories to what the policy-gradient losses see."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.baseline import baseline_features, fit_baseline, predict_values
from maml_rl.returns import discounted_returns, generalized_advantages
from maml_rl.trajectories import Trajectories

# Rows that a product of a [rows, 100] and a [100, 100] matrix takes through a core's caches at full speed. A batched
# product of all tasks at once ran at less than half of the rate (46 against 118 GFLOP/s, 40 x 4000 rows, 2 cores).
CACHE_ROWS = 2048


@dataclass(frozen=True)
class Samples:
    """One batch of steps per task. A sum over n weighted by `weights` is a mean over the task's valid steps."""

    observations: Tensor  # [M, N, O]
    actions: Tensor  # [M, N, A]
    advantages: Tensor  # [M, N], zero mean and unit standard deviation over a task's valid steps
    weights: Tensor  # [M, N]: 1 / (number of valid steps of the task) on valid steps, 0 elsewhere

    def tasks(self, chunk: slice) -> "Samples":
        """The samples of some of the tasks."""
        return Samples(self.observations[chunk], self.actions[chunk], self.advantages[chunk], self.weights[chunk])

    def first_steps(self, fraction: float) -> "Samples":
        """The first part of every task's steps, as samples in their own right: the weights of a task sum to 1 again."""
        if fraction == 1:
            return self
        count = round(fraction * self.weights.shape[1])
        weights = self.weights[:, :count] / self.weights[:, :count].sum(dim=1, keepdim=True).clamp(min=1e-12)
        return Samples(self.observations[:, :count], self.actions[:, :count], self.advantages[:, :count], weights)


def task_chunks(samples: Samples) -> Iterator[slice]:
    """Slices of the tasks to be worked on at once: as many as stay in the caches on a CPU, all of them on a GPU."""
    num_tasks, num_steps = samples.weights.shape
    size = max(1, CACHE_ROWS // num_steps) if samples.weights.device.type == "cpu" else num_tasks
    for first in range(0, num_tasks, size):
        yield slice(first, first + size)


def make_samples(trajectories: Trajectories, discount: float, gae_lambda: float) -> Samples:
    """Advantages over a baseline fitted to this very batch, normalised per task; masked steps get weight zero.

    The baseline is fitted to the returns within the time limit, which its time features let it represent.
    """
    mask = trajectories.mask
    observations = trajectories.observations.where(mask[..., None], 0.0)
    actions = trajectories.actions.where(mask[..., None], 0.0)
    rewards = trajectories.rewards.where(mask, 0.0).double()
    terminated = trajectories.terminated & mask

    # An episode that a time limit of the env's own cut off goes on, as the others do after H: what it was cut off at is
    # the first masked observation, whose value stands for the rest.
    truncated = (mask & ~terminated)[..., :-1] & ~mask[..., 1:]  # [M, E, H - 1]
    seen = torch.cat([mask[..., :1], mask[..., 1:] | truncated], dim=-1)
    features = baseline_features(trajectories.observations.where(seen[..., None], 0.0))
    final_features = baseline_features(trajectories.final_observations[:, :, None], first_step=mask.shape[-1])
    coefficients = fit_baseline(features, discounted_returns(rewards, terminated, discount), mask)
    values = predict_values(features, coefficients)
    final_values = predict_values(final_features, coefficients)[..., 0]
    advantages = generalized_advantages(rewards, values, final_values, terminated, mask, discount, gae_lambda)

    weights = mask.double() / mask.sum(dim=(1, 2), keepdim=True).clamp(min=1)  # [M, E, H]
    mean = (weights * advantages).sum(dim=(1, 2), keepdim=True)
    centred = (advantages - mean).where(mask, 0.0)
    std = (weights * centred.square()).sum(dim=(1, 2), keepdim=True).sqrt()
    normalised = centred / (std + 1e-8)

    dtype = trajectories.observations.dtype
    return Samples(
        observations.flatten(1, 2),
        actions.flatten(1, 2),
        normalised.flatten(1, 2).to(dtype),
        weights.flatten(1, 2).to(dtype),
    )
