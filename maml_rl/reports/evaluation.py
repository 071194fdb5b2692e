"""What a policy is worth on tasks it has not seen: returns before adaptation and after each gradient step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from envs import KeyedGenerator, TaskEnv
from maml_rl.meta.inner_loop import adapt
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import Config
from maml_rl.rl.keys import Purpose, keyed
from maml_rl.rl.sampler import collect
from maml_rl.rl.samples import make_samples
from maml_rl.rl.trajectories import Trajectories


@dataclass
class Adaptation:
    """K gradient steps on some tasks, and the episodes before and after each."""

    thetas_M: list[Tensor] = field(default_factory=list)  # K + 1 times [M, P]
    trajectories: list[Trajectories] = field(default_factory=list)  # of each of these policies

    def returns(self) -> Tensor:
        """[K + 1, M], mean undiscounted return of a task's first episodes; diverged ones do not count."""
        return torch.stack([_task_returns(each) for each in self.trajectories])

    def env_steps(self) -> list[float]:
        """[K + 1], env steps that a task had been played before the policy was adapted so far; means over tasks."""
        counts = [0.0] + [each.num_steps() / len(each.mask) for each in self.trajectories[:-1]]
        return torch.tensor(counts).cumsum(dim=0).tolist()

    def summary(self) -> dict[str, list[Any]]:
        """Per number of gradient steps: mean return over tasks, its 95 % interval, and what it took."""
        return summarise(self.returns()) | {"env_steps_per_task": self.env_steps()}


def summarise(returns: Tensor) -> dict[str, list[Any]]:
    """Per number of gradient steps, of returns [K + 1, M]: the mean over tasks, and its 95 % interval."""
    return {
        "gradient_steps": list(range(len(returns))),
        "return_mean": [float(row.mean()) for row in returns],
        "return_ci95": [confidence_interval(row) for row in returns],
    }


def default_gradient_steps(config: Config) -> int:
    """As many as the paper shows; none for an oracle, which is told the task."""
    return 0 if config.algorithm == "oracle" else 3


def sample_tasks(env: TaskEnv, num_tasks: int, seed: int, purpose: Purpose) -> Tensor:
    """Tasks [num_tasks, ...] of a purpose, such as Purpose.EVALUATION_TASKS."""
    return env.sample_tasks(num_tasks, keyed(purpose, seed))


def inner_lrs(config: Config, gradient_steps: int) -> list[float]:
    """The step size of each gradient step of an evaluation (Finn et al. 2017, appendix A.2: 0.1, then 0.05)."""
    return [config.inner_lr * (1 if k < config.inner_steps else config.eval_lr_ratio) for k in range(gradient_steps)]


def adapt_and_roll_out(
    config: Config,
    env_parts: Sequence[TaskEnv],
    policy: MlpPolicy,
    theta: Tensor,
    tasks: Tensor,
    gradient_steps: int,
    seed: int,
    purpose: Purpose,
    first: int = 0,
    roll_out_last: bool = True,
    announce: Callable[[str], None] = lambda part: None,
    first_task: int = 0,
) -> Adaptation:
    """Collect episodes on each task, take a gradient step, collect again, `gradient_steps` times.

    theta: [P]. tasks: [M, ...], as many as env_parts have. purpose: of the episodes, such as
    Purpose.EVALUATION_EPISODES. The episodes are those that the step learns from: one batch per policy. first: gradient
    steps that theta has had before. roll_out_last: whether the last policy is played too. announce: told what is being
    collected. first_task: if the tasks are a part of more, the number of the first.
    """
    theta_M = theta.expand(len(tasks), -1)
    adaptation = Adaptation()
    last = first + gradient_steps
    for k, lr in zip(range(first, last + 1), [*inner_lrs(config, last)[first:], None], strict=True):
        adaptation.thetas_M.append(theta_M)
        if lr is None and not roll_out_last:
            break
        announce(f"episodes after {k} of {last} gradient steps")
        trajectories = rollout(config, env_parts, policy, theta_M, tasks, k, seed, purpose, first_task)
        adaptation.trajectories.append(trajectories)
        if lr is not None:
            samples = make_samples(trajectories, config.discount, config.gae_lambda)
            theta_M = adapt(policy, theta_M, [samples], lr)
    return adaptation


def rollout(
    config: Config,
    env_parts: Sequence[TaskEnv],
    policy: MlpPolicy,
    theta_M: Tensor,
    tasks: Tensor,
    step: int,
    seed: int,
    purpose: Purpose,
    first_task: int = 0,
) -> Trajectories:
    """The episodes after `step` gradient steps."""
    generator = rollout_generator(seed, purpose, step).from_task(first_task)
    return collect(env_parts, policy, theta_M, tasks, generator, config.horizon)


def rollout_generator(seed: int, purpose: Purpose, step: int) -> KeyedGenerator:
    """Start states and noise of the episodes after `step` gradient steps."""
    return keyed(purpose, seed, phase=step)


def confidence_interval(values: Tensor) -> float | None:
    """Half-width of the 95 % confidence interval of the mean of values [n], in the normal approximation.

    None where fewer than two values are given.
    """
    n = len(values)
    return NormalDist().inv_cdf(0.975) * float(values.std()) / sqrt(n) if n > 1 else None


def _task_returns(trajectories: Trajectories) -> Tensor:
    return trajectories.returns().sum(dim=1) / (~trajectories.diverged).sum(dim=1)
