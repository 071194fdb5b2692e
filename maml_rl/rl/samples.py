"""From trajectories to the batches of the policy-gradient losses."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.machine.threads import parallel_map
from maml_rl.models.distributions import Distribution, with_parts
from maml_rl.rl.baseline import Cuts, baseline_features, fit_baseline, predict_values
from maml_rl.rl.returns import discounted_returns, generalized_advantages
from maml_rl.rl.trajectories import Trajectories


@dataclass(frozen=True)
class Samples:
    """One batch of steps per task: a `maml_rl.meta.problem.Batch`. Weighted by `weights`, a sum over n is a mean."""

    inputs: Tensor  # [M, N, O], observations
    actions: Tensor  # [M, N, A]
    advantages: Tensor  # [M, N], zero mean and unit standard deviation over a task's valid steps
    weights: Tensor  # [M, N]: 1 / (number of valid steps of the task) on valid steps, 0 elsewhere
    old: Distribution | None = None  # the policies that took the actions, at every step; None if nobody has to know
    episodes: Tensor | None = None  # [M, N] int: steps of the same number beside each other are of one episode
    # [M], mean undiscounted return of the task's first episodes, in reward units; NaN if all have diverged.
    returns: Tensor | None = None
    stride: int = 1  # steps of an episode from one sample to the next

    def rows(self, chunk: slice) -> "Samples":
        """The samples of some of the tasks."""
        old = self.old and with_parts(self.old, [part[chunk] for part in self.old])
        tensors = {name: each[chunk] for name, each in vars(self).items() if isinstance(each, Tensor)}
        return dataclasses.replace(self, **tensors, old=old)

    def every(self, stride: int, first: int = 0) -> "Samples":
        """Steps first, first + stride, ... as samples in their own right: the weights of a task sum to 1 again.

        first counts modulo the number of steps, so that a stride beyond them still leaves one.
        """
        if stride == 1:
            return self
        num_steps = self.weights.shape[1]
        chosen = slice(first % num_steps, None, stride)
        weights = self.weights[:, chosen]
        # Parameters that all steps of a task share, a Gaussian's log_std [M, 1, A], stays.
        old = self.old and with_parts(
            self.old, [part[:, chosen].contiguous() if part.shape[1] == num_steps else part for part in self.old]
        )
        return Samples(
            self.inputs[:, chosen].contiguous(),
            self.actions[:, chosen].contiguous(),
            self.advantages[:, chosen].contiguous(),
            weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-12),
            old,
            None if self.episodes is None else self.episodes[:, chosen].contiguous(),
            self.returns,
            stride * self.stride,
        )


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
        parallel_map(lambda chunk: _advantages(trajectories.rows(chunk), discount, gae_lambda), chunks)
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
        episodes=(trajectories.times == 0).flatten(1, 2).cumsum(dim=1),
        returns=trajectories.task_returns().to(dtype),
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
