"""What a configuration stands for: its env, its policy, its device."""

import torch

import envs
from envs import TaskEnv
from maml_rl.config import Config, UsageError
from maml_rl.policies import GaussianMlpPolicy


def make_env(config: Config) -> TaskEnv:
    """The family, for all tasks and episodes of an iteration at once."""
    return envs.make(config.env, config.num_tasks, config.episodes_per_task, config.variant, config.num_threads)


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
