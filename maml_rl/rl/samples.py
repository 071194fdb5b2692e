"""From trajectories to what the policy-gradient losses see."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.machine.threads import parallel_map
from maml_rl.rl.baseline import Cuts, baseline_features, fit_baseline, predict_values
from maml_rl.rl.returns import discounted_returns, generalized_advantages
from maml_rl.rl.trajectories import Trajectories

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

    def every(self, stride: int, first: int = 0) -> "Samples":
        """Steps first, first + stride, ... as samples in their own right: the weights of a task sum to 1 again.

        first counts modulo the number of steps, so that a stride beyond them still leaves one.
        """
        if stride == 1:
            return self
        chosen = slice(first % self.weights.shape[1], None, stride)
        weights = self.weights[:, chosen]
        return Samples(
            self.observations[:, chosen].contiguous(),
            self.actions[:, chosen].contiguous(),
            self.advantages[:, chosen].contiguous(),
            weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-12),
        )


def task_chunks(samples: Samples) -> Iterator[slice]:
    """Slices of the tasks to be worked on at once: as many as stay in the caches on a CPU, all of them on a GPU."""
    num_tasks, num_steps = samples.weights.shape
    size = max(1, CACHE_ROWS // num_steps) if samples.weights.device.type == "cpu" else num_tasks
    for first in range(0, num_tasks, size):
        yield slice(first, first + size)


def make_samples(trajectories: Trajectories, discount: float, gae_lambda: float) -> Samples:
    """Advantages over a baseline fitted to this very batch, normalised per task; masked steps get weight zero.

    The time limit is part of the task: the objective is the return within it, which the baseline's time features let
    it represent, so the value there is 0. The baseline's value stands for the rest of an episode that a time limit of
    the env's own or the end of the batch cuts off (Pardo et al. 2018, eq. 6).
    """
    mask = trajectories.mask
    on_gpu = mask.device.type != "cpu"
    chunks = [slice(None)] if on_gpu else [slice(task, task + 1) for task in range(len(mask))]
    advantages = torch.cat(
        parallel_map(lambda chunk: _advantages(trajectories.tasks(chunk), discount, gae_lambda), chunks)
    )
    weights = mask.double() / mask.sum(dim=(1, 2), keepdim=True).clamp(min=1)  # [M, E, H]
    mean = (weights * advantages).sum(dim=(1, 2), keepdim=True)
    centred = (advantages - mean).where(mask, 0.0)
    std = (weights * centred.square()).sum(dim=(1, 2), keepdim=True).sqrt()
    normalised = centred / (std + 1e-8)

    dtype = trajectories.observations.dtype
    return Samples(
        trajectories.observations.where(mask[..., None], 0.0).flatten(1, 2),
        trajectories.actions.where(mask[..., None], 0.0).flatten(1, 2),
        normalised.flatten(1, 2).to(dtype),
        weights.flatten(1, 2).to(dtype),
    )


def _advantages(trajectories: Trajectories, discount: float, gae_lambda: float) -> Tensor:
    """[M, E, H], float64, in reward units; 0 outside of the mask."""
    mask, ended, unfinished = trajectories.mask, trajectories.ended(), trajectories.unfinished()
    rewards = trajectories.rewards.where(mask, 0.0).double()
    observations = trajectories.observations.where(mask[..., None], 0.0)
    features = baseline_features(observations, trajectories.times)  # [M, E, H, F]
    after = trajectories.observations_after(unfinished)
    cut_features = baseline_features(after, trajectories.times[unfinished] + 1)  # [C, F]
    task = unfinished.nonzero()[:, 0]

    reach = discounted_returns(discount * unfinished.double(), ended, discount)  # [M, E, H]
    reaches = torch.zeros_like(cut_features)
    cut_off = reach > 0
    of_cut = torch.searchsorted(unfinished.flatten().nonzero()[:, 0], cut_off.flatten().nonzero()[:, 0])
    reaches.index_add_(0, of_cut, reach[cut_off][:, None] * features[cut_off])

    targets = discounted_returns(rewards, ended, discount)
    coefficients = fit_baseline(features, targets, mask, Cuts(task, cut_features, reaches))
    values = predict_values(features, coefficients)
    values_tp1 = torch.cat([values[..., 1:], torch.zeros_like(values[..., :1])], dim=-1).where(~ended, 0.0)
    values_tp1[unfinished] = (cut_features * coefficients[task]).sum(dim=-1)
    advantages = generalized_advantages(rewards, values, values_tp1, ended, discount, gae_lambda)
    return advantages.where(mask, 0.0)
