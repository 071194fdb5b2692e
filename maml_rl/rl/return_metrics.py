"""Metrics of an iteration's episodes, over the tasks of all ranks."""

from math import nan

import torch
from torch import Tensor

from maml_rl.machine.ranks import check_agreement, checksum
from maml_rl.meta.algorithm import Metrics
from maml_rl.rl.rollouts import Rollouts


def return_metrics(rollouts: Rollouts, theta: Tensor) -> Metrics:
    """Returns before and after adaptation, lengths of episodes, and how random the policy theta [P] is now.

    `env_steps` counts this iteration's. Raises RuntimeError if the ranks have come to different parameters.
    """
    sums = _sums_over_ranks(rollouts, theta)
    pre, last = sums[0], sums[-1]
    metrics: Metrics = {
        "env_steps": round(sum(each["steps"] for each in sums)),
        "return/pre": _ratio(pre["return"], pre["episodes"]),
        "return/post": _ratio(last["return"], last["episodes"]),
        **(
            {"policy/entropy": _ratio(last["entropy"], last["tasks"])}
            if rollouts.model.choices
            else {"policy/std": rollouts.model.mean_std(theta), "actions/outside": _ratio(pre["outside"], pre["steps"])}
        ),
        "observations/rms": _ratio(pre["observation_squares"], pre["steps"]) ** 0.5,
        "episodes/lived": _ratio(pre["lived"], pre["episodes"] * rollouts.horizon),
        "episodes/diverged": round(sum(each["diverged"] for each in sums)),
    }
    if any(each["rated"] for each in sums):  # then the episodes of which the env does not say have failed
        for key, part in (("success/pre", pre), ("success/post", last)):
            metrics[key] = _ratio(part["successes"], part["episodes"])
    return metrics


def _sums_over_ranks(rollouts: Rollouts, theta: Tensor) -> list[dict[str, float]]:
    """`Trajectories.sums` of each rollout, over the tasks of all ranks; in the last also sums over tasks.

    All of them cross the network in one piece, and with them a checksum of theta. Raises RuntimeError.
    """
    trajectories = [rollouts.trajectories[k] for k in sorted(rollouts.trajectories)]
    own = checksum(theta)
    bound = rollouts.family.action_bound
    extra = {"entropy": 0.0, "tasks": 0.0, "ranks": 0.0, "checksum": 0.0}
    sums = [each.sums(bound) | extra for each in trajectories]
    entropy = _entropy(rollouts)
    sums[-1] |= {"entropy": entropy, "tasks": float(rollouts.num_tasks), "ranks": 1.0, "checksum": own}
    packed = torch.tensor([list(each.values()) for each in sums], dtype=torch.float64, device=theta.device)
    totals = [dict(zip(sums[0], row, strict=True)) for row in rollouts.mean.all_sum(packed).tolist()]
    check_agreement(own, totals[-1]["ranks"], totals[-1]["checksum"])
    return totals


def _ratio(total: float, count: float) -> float:
    return total / count if count else nan


def _entropy(rollouts: Rollouts) -> float:
    """Mean entropy (nats) of the policies that played the first episodes, summed over tasks.

    0 of Gaussians: their std says it.
    """
    if not rollouts.model.choices:
        return 0.0
    first = rollouts.trajectories[min(rollouts.trajectories)]
    distribution = rollouts.model.over_actions(first.outputs.flatten(1, 2))
    mask = first.mask.flatten(1, 2)
    means = distribution.entropy().where(mask, 0.0).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return float(means.sum())
