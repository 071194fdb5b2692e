"""The parts that every configuration stands for: its algorithm, its device."""

import torch

from maml_rl.algorithms.catalogue import ALGORITHMS, Entry
from maml_rl.meta.algorithm import Algorithm
from maml_rl.options.config import Config, DataConfig, flat
from maml_rl.schema.errors import UsageError


def make_algorithm(config: Config) -> Algorithm:
    """The algorithm, with its options."""
    return ALGORITHMS[config.algorithm].make(config.algorithm_options)


def outer_step_size(config: Config) -> str:
    """The option to lower if an update diverges."""
    own = flat(config)
    return "--meta-lr" if "meta_lr" in own and own.get("outer_step") != "trust-region" else "--max-kl"


def evaluation_steps(config: DataConfig, algorithm: Algorithm) -> int:
    """Steps of adaptation to a data set's tasks that an evaluation takes unless told otherwise."""
    return config.eval_steps if adapts_by_gradients(config) else algorithm.trained_steps


def adapts_by_gradients(config: Config) -> bool:
    """Whether a step of adaptation is a gradient step."""
    return ALGORITHMS[config.algorithm].step == Entry.step


def choose_device(device: str, local_rank: int = 0, local_size: int = 1) -> torch.device:
    """Resolve "auto". Raises UsageError for "cuda" without CUDA, and unless each rank of this machine has a device."""
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not available:
        raise UsageError("--device: got 'cuda', allowed here: auto, cpu (PyTorch finds no CUDA device)")
    if device == "cpu" or not available:
        return torch.device("cpu")
    if available < local_size:
        allowed = f"at most {available} on this machine, one for each CUDA device; or --device cpu"
        raise UsageError(f"torchrun --nproc-per-node: got {local_size}, allowed: {allowed}")
    if local_size > 1:
        torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
