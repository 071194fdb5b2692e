"""The size of an iteration, said before anything of that size is made."""

from math import prod

import torch

from maml_rl import envs
from maml_rl.envs import Family
from maml_rl.machine.memory import free_memory
from maml_rl.machine.threads import num_cpus
from maml_rl.models.policy import Policy
from maml_rl.options.config import RlConfig
from maml_rl.schema.errors import UsageError

STATES = (
    12  # vectors of parameters beside those of the tasks: of Adam, gradients in float64, a checkpoint as it is written
)
SIMULATION = 5_000  # bytes of a MuJoCo simulation; 7,000 to 15,000 were measured


def check_size(config: RlConfig, family: Family, model: Policy, num_tasks: int, device: torch.device) -> None:
    """Raise UsageError if the episodes and parameters of `num_tasks` tasks cannot fit into the memory that is free."""
    needed, free = bytes_needed(config, family, model, num_tasks), free_memory(device)
    if needed > free:
        sizes = f"{num_tasks} tasks x {config.episodes_per_task} episodes x {config.horizon} steps"
        sizes += f", observations of {family.observation_size} numbers, a policy of {model.num_parameters} parameters"
        allowed = f"sizes that fit into the {free / 1e9:.1f} GB that are free"
        raise UsageError(f"got {sizes}, which take {needed / 1e9:.3g} GB or more, allowed: {allowed}")


def bytes_needed(config: RlConfig, family: Family, model: Policy, num_tasks: int) -> int:
    """What an iteration holds at the same time, at least.

    Simulations, episodes along the inner loop or of a trial, parameters, and the baselines' normal equations, one for
    each thread.
    """
    simulations = num_tasks * config.episodes_per_task
    numbers = 2 * family.observation_size + 3 * family.action_size  # as played, and as losses take them
    step = 4 * numbers + 8 + 8 + 2
    rollouts = 1 + getattr(config.algorithm_options, "inner_steps", 0)
    rollouts = getattr(config.algorithm_options, "trial_episodes", rollouts)
    features = 2 * family.observation_size + 4
    baselines = min(num_tasks, config.num_threads or num_cpus()) * 3 * 8 * features**2  # fitted at the same time
    parameters = 4 * model.num_parameters * (num_tasks + STATES)
    return (
        simulations * SIMULATION * envs.has_physics(config.env)
        + simulations * config.horizon * step * rollouts
        + simulations * 8 * prod(family.task_shape)
        + parameters
        + baselines
    )
