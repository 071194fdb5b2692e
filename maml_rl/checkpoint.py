"""Checkpoints: parameters as safetensors, with what they belong to as metadata. Loading one runs no code."""

import re
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from maml_rl.atomic_file import write_atomically
from maml_rl.config import Config, UsageError, dump_yaml
from maml_rl.policies import GaussianMlpPolicy

FORMAT_VERSION = "1"


@dataclass(frozen=True)
class State:
    """Where a run stands. Random draws are keyed by the iteration, so no generator's state belongs to it."""

    theta: Tensor  # [P]
    iteration: int  # meta-updates done
    env_steps: int  # environment steps seen


def save_checkpoint(folder: Path, state: State, policy: GaussianMlpPolicy, config: Config) -> Path:
    """Write `state` to folder/iteration-000123.safetensors, atomically, and return that path."""
    parameters = policy.unflatten(state.theta.detach().cpu()[None])
    tensors = {name: value[0].contiguous() for name, value in parameters.items()}
    metadata = {
        "format_version": FORMAT_VERSION,
        "iteration": str(state.iteration),
        "env_steps": str(state.env_steps),
        "config": dump_yaml(config),
    }
    path = folder / f"iteration-{state.iteration:06d}.safetensors"
    write_atomically(path, safetensors.torch.save(tensors, metadata))
    return path


def latest_checkpoint(folder: Path) -> Path:
    """The checkpoint of the most iterations in a folder. Raises UsageError where there is none."""
    found = {re.fullmatch(r"iteration-(\d+)\.safetensors", path.name): path for path in folder.glob("*")}
    checkpoints = {int(match[1]): path for match, path in found.items() if match}
    if not checkpoints:
        raise UsageError(f"--resume: got {str(folder.parent)!r}, allowed: a run with a checkpoint in {folder.name}/")
    return checkpoints[max(checkpoints)]


def load_checkpoint(path: Path, policy: GaussianMlpPolicy) -> State:
    """Read a checkpoint of `policy`. Raises UsageError where it is missing, truncated, foreign, or of other sizes."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if metadata.get("format_version") != FORMAT_VERSION:
            found = metadata.get("format_version")
            raise UsageError(f"checkpoint {path}: got format version {found}, allowed: {FORMAT_VERSION}")
        iteration, env_steps = int(metadata["iteration"]), int(metadata["env_steps"])
        if min(iteration, env_steps) < 0 or any(tensor.dtype != torch.float32 for tensor in tensors.values()):
            raise ValueError("a count below 0, or parameters other than float32")
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"checkpoint {path}: got a file that cannot be read ({error}), allowed: a whole checkpoint"
        ) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(shapes.keys() | policy.parameter_shapes.keys()):
        got, wanted = shapes.get(name), policy.parameter_shapes.get(name)
        if got != wanted:
            raise UsageError(f"checkpoint {path}: got {name} of shape {got}, allowed: {wanted}, as its config has it")
    theta = torch.cat([tensors[name].flatten() for name in policy.parameter_shapes])
    if not theta.isfinite().all():
        raise UsageError(f"checkpoint {path}: got parameters that are not finite, allowed: numbers")
    return State(theta, iteration, env_steps)
