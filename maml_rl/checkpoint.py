"""Checkpoints: parameters as safetensors, with what they belong to as metadata. Loading one runs no code."""

import re
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from maml_rl.atomic_file import write_atomically
from maml_rl.config import Config, UsageError, dump_yaml, parse_yaml
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
    path = folder / checkpoint_name(state.iteration)
    write_atomically(path, safetensors.torch.save(tensors, metadata))
    return path


def latest_checkpoint(folder: Path) -> Path:
    """The checkpoint of the most iterations in a folder. Raises UsageError where there is none."""
    found = {re.fullmatch(r"iteration-(\d+)\.safetensors", path.name): path for path in folder.glob("*")}
    checkpoints = {int(match[1]): path for match, path in found.items() if match}
    if not checkpoints:
        raise UsageError(f"--resume: got {str(folder.parent)!r}, allowed: a run with a checkpoint in {folder.name}/")
    return checkpoints[max(checkpoints)]


def load_checkpoint(path: Path, policy: GaussianMlpPolicy) -> tuple[State, Config]:
    """Read a checkpoint of `policy`, and the configuration it was made with.

    Raises UsageError where it is missing, truncated, foreign, or of other sizes.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if metadata.get("format_version") != FORMAT_VERSION:
            found = metadata.get("format_version")
            raise UsageError(f"checkpoint {path}: got format version {found}, allowed: {FORMAT_VERSION}")
        iteration, env_steps = int(metadata["iteration"]), int(metadata["env_steps"])
        if checkpoint_name(iteration) != path.name or not 0 <= env_steps < 2**63:
            raise ValueError(f"its metadata say iteration {iteration}, {env_steps} env steps")
        config = parse_yaml(metadata["config"], Config(), label=f"checkpoint {path}")
    except UsageError:
        raise
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        got = f"a file that cannot be read ({error})"
        raise UsageError(f"checkpoint {path}: got {got}, allowed: a whole checkpoint") from error
    found = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    wanted = {name: (torch.float32, shape) for name, shape in policy.parameter_shapes.items()}
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            got, allowed = (" ".join(map(str, each[name])) if name in each else "none" for each in (found, wanted))
            raise UsageError(f"checkpoint {path}: got {name}: {got}, allowed: {allowed}, as its config has it")
    theta = torch.cat([tensors[name].flatten() for name in policy.parameter_shapes])
    if not theta.isfinite().all():
        raise UsageError(f"checkpoint {path}: got parameters that are not finite, allowed: numbers")
    return State(theta, iteration, env_steps), config


def checkpoint_name(iteration: int) -> str:
    return f"iteration-{iteration:06d}.safetensors"
