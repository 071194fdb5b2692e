"""The size of an iteration of supervised learning, said before anything of that size is made."""

from math import prod

import torch

from maml_rl.machine.memory import free_memory
from maml_rl.models.model import Model
from maml_rl.options.config import DataConfig
from maml_rl.options.size import STATES
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.catalogue import classifies, shape_of_examples


def check_data_size(config: DataConfig, model: Model, num_tasks: int, device: torch.device) -> None:
    """Raise UsageError if the examples and parameters of `num_tasks` tasks cannot fit into the memory that is free."""
    needed, free = data_bytes_needed(config, model, num_tasks), free_memory(device)
    if needed > free:
        sizes = f"{num_tasks} tasks x {_examples(config)} examples, a model of {model.num_parameters} parameters"
        allowed = f"sizes that fit into the {free / 1e9:.1f} GB that are free"
        raise UsageError(f"got {sizes}, which take {needed / 1e9:.3g} GB or more, allowed: {allowed}")


def data_bytes_needed(config: DataConfig, model: Model, num_tasks: int) -> int:
    """What an iteration holds at the same time, at least: examples and their targets, and parameters."""
    shape = shape_of_examples(config.data, config.picture_size, config.picture_colour)
    outputs = max(config.ways, config.train_ways) if classifies(config.data) else 1
    example = 4 * (prod(shape) + outputs)
    return num_tasks * _examples(config) * example + 4 * model.num_parameters * (num_tasks + STATES)


def _examples(config: DataConfig) -> int:
    """Examples of a task, in its support set and its query set."""
    each = max(config.shots, config.train_shots) + (config.queries or config.shots)
    return each * (max(config.ways, config.train_ways) if classifies(config.data) else 1)
