"""What a configuration stands for: its env, its policy, its device."""

import os

import torch

import envs
from envs import TaskEnv
from maml_rl.config import Config, UsageError
from maml_rl.policies import GaussianMlpPolicy


def make_envs(config: Config) -> list[TaskEnv]:
    """The family, for all tasks of an iteration: as two parts with half of the threads each, where that is faster.

    The policy of one part is then computed while the other is in the physics. Neither what a part computes nor the
    number of parts depends on the number of threads.
    """

    def make(num_tasks: int, num_threads: int) -> TaskEnv:
        return envs.make(config.env, num_tasks, config.episodes_per_task, config.variant, num_threads)

    num_threads = config.num_threads or os.cpu_count() or 1
    whole = make(config.num_tasks, num_threads)
    if not whole.overlaps or config.num_tasks == 1:
        return [whole]
    half = config.num_tasks // 2
    return [make(num_tasks, max(1, num_threads // 2)) for num_tasks in (config.num_tasks - half, half)]


def make_policy(config: Config, env: TaskEnv) -> GaussianMlpPolicy:
    """The policy of the configured size, for the env's observations and actions."""
    return GaussianMlpPolicy(
        env.observation_size,
        env.action_size,
        config.hidden_sizes,
        config.nonlinearity,
        config.init_log_std,
        config.min_log_std,
    )


def choose_device(device: str) -> torch.device:
    """Resolve "auto". Raises UsageError for "cuda" without CUDA."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UsageError("--device: got 'cuda', allowed here: auto, cpu (PyTorch finds no CUDA device)")
    return torch.device("cuda" if available and device != "cpu" else "cpu")
