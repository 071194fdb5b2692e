"""Checkpoints: an algorithm's state as safetensors, with its configuration as metadata. Loading one runs no code."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from maml_rl.machine.atomic_file import write_atomically
from maml_rl.meta.adam import MOMENTS, NOT_NEGATIVE
from maml_rl.meta.algorithm import State
from maml_rl.models.model import Model
from maml_rl.options.config import Config
from maml_rl.options.yaml_file import dump_yaml, parse_config
from maml_rl.reports.measure import Measure
from maml_rl.schema.bounds import Within, check_value
from maml_rl.schema.errors import UsageError, shown
from maml_rl.schema.flags import number

FORMAT_VERSION = "2"  # the state's tensors by name; version 1 had each of the policy's parameters by name
METADATA: dict[str, Any] = {
    "format_version": str,
    "iteration": Annotated[int, Within(0, 2**53)],
    "env_steps": Annotated[int, Within(0, 2**63 - 1)],
    "config": str,
    # Of best.safetensors, one of these:
    "validation_return": float,
    "validation_accuracy": float,
    "validation_loss": float,
}
OPTIONAL = [name for name in METADATA if name.startswith("validation_")]
BEST = "best.safetensors"  # the state that was best on validation tasks


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two iterations. Draws are keyed by the iteration: no generator has a state."""

    state: State
    iteration: int  # iterations done
    env_steps: int  # environment steps seen

    def on(self, device: torch.device) -> "Checkpoint":
        """The same, on a device."""
        return Checkpoint({name: part.to(device) for name, part in self.state.items()}, self.iteration, self.env_steps)


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, config: Config, best: tuple[Measure, float] | None = None
) -> Path:
    """Write to folder/iteration-000123.safetensors, atomically, and return that path.

    best: a measure of validation tasks and its value; if they are given, the file is best.safetensors, and holds them.
    It is not for a run to go on from, and lacks Adam's moments.
    """
    kept = {name: part for name, part in checkpoint.state.items() if best is None or name not in MOMENTS}
    tensors = {name: part.detach().cpu().contiguous() for name, part in kept.items()}
    metadata = {
        "format_version": FORMAT_VERSION,
        "iteration": str(checkpoint.iteration),
        "env_steps": str(checkpoint.env_steps),
        "config": dump_yaml(config),
    }
    path = folder / checkpoint_name(checkpoint.iteration)
    if best is not None:
        measure, value = best
        path, metadata[f"validation_{measure.name}"] = folder / BEST, repr(value)
    write_atomically(path, safetensors.torch.save(tensors, metadata))
    return path


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint of some iteration."""
    return any(_iteration_of(path) is not None for path in folder.glob("*"))


def iterations_done(folder: Path) -> int:
    """Up to the last checkpoint in a folder; 0 without one."""
    return max((_iteration_of(path) or 0 for path in folder.glob("*")), default=0)


def latest_checkpoint(folder: Path, option: str = "--resume") -> Path:
    """The checkpoint of the most iterations in a folder. Raises UsageError, naming `option`, if there is none."""
    checkpoints = {iteration: path for path in folder.glob("*") if (iteration := _iteration_of(path)) is not None}
    if not checkpoints:
        raise UsageError(f"{option}: got {str(folder.parent)!r}, allowed: a run with a checkpoint in {folder.name}/")
    return checkpoints[max(checkpoints)]


def best_value(folder: Path, measure: Measure) -> float:
    """The measure of validation tasks in best.safetensors of a folder, or the worst value."""
    path = folder / BEST
    return _read(path)[1].get(f"validation_{measure.name}", measure.worst) if path.exists() else measure.worst


def load_checkpoint(
    path: Path, begin: Callable[[Config], tuple[Model, Callable[[], State]]], to_go_on: bool = True
) -> tuple[Checkpoint, Config]:
    """Read a checkpoint, and the configuration it was made with.

    begin: the model that goes with a configuration, and how to make its first state, which is not made before the file
    has as many parameters. to_go_on: whether Adam's moments have to be there. Raises UsageError if the file is missing,
    truncated, foreign, or of other sizes than that.
    """
    tensors, metadata = _read(path)
    iteration, env_steps = metadata["iteration"], metadata["env_steps"]
    if _iteration_of(path) not in (None, iteration):
        raise UsageError(f"checkpoint {path}: got iteration {iteration} in its metadata, allowed: that of its name")
    config = parse_config(metadata["config"], label=f"checkpoint {path}")
    model, first_state = begin(config)
    if metadata["format_version"] == "1":
        _check(path, tensors, model.parameter_shapes)
        tensors = {"theta": torch.cat([tensors[name].flatten() for name in model.parameter_shapes])}
    else:
        theta = {name: part for name, part in tensors.items() if name == "theta"}
        _check(path, theta, {"theta": (model.num_parameters,)})
        wanted = {name: tuple(part.shape) for name, part in first_state().items()}
        if not to_go_on and not tensors.keys() & set(MOMENTS):
            wanted = {name: shape for name, shape in wanted.items() if name not in MOMENTS}
        _check(path, tensors, wanted)
    return Checkpoint(tensors, iteration, env_steps), config


def _check(path: Path, tensors: dict[str, Tensor], sizes: dict[str, tuple[int, ...]]) -> None:
    """Raise UsageError unless the tensors have these names and sizes, and finite numbers."""
    found = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    wanted = {name: (torch.float32, size) for name, size in sizes.items()}
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            got, allowed = (" ".join(map(str, each[name])) if name in each else "none" for each in (found, wanted))
            raise UsageError(f"checkpoint {path}: got {name}: {got}, allowed: {allowed}, as its config has it")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise UsageError(f"checkpoint {path}: got parameters that are not finite, allowed: numbers")
    negative = next((name for name in NOT_NEGATIVE if name in tensors and (tensors[name] < 0).any()), None)
    if negative:
        raise UsageError(f"checkpoint {path}: got negative numbers in {negative}, allowed: numbers >= 0")


def checkpoint_name(iteration: int) -> str:
    return f"iteration-{iteration:06d}.safetensors"


def _iteration_of(path: Path) -> int | None:
    """The number in iteration-000123.safetensors; None for another name."""
    match = re.fullmatch(r"iteration-(\d+)\.safetensors", path.name)
    return int(match[1]) if match else None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and METADATA. Raises UsageError if the file cannot be read, or has another format."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies are aligned as a run's own tensors are: float32 kernels give other last bits if they are not.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise _unreadable(path, error) from error
    if metadata.get("format_version") not in ("1", FORMAT_VERSION):
        found = shown(metadata["format_version"]) if "format_version" in metadata else "none: it is no checkpoint"
        raise UsageError(f"checkpoint {path}: got format version {found}, allowed: 1, {FORMAT_VERSION}")
    missing = next((name for name in METADATA if name not in metadata and name not in OPTIONAL), None)
    if missing:
        raise UsageError(f"checkpoint {path}: got no {missing} in its metadata, allowed: a whole checkpoint")
    values = {name: metadata[name] for name in METADATA if name in metadata}
    return tensors, {
        name: check_value(
            f"checkpoint {path}: {name}", value if METADATA[name] is str else number(value), METADATA[name]
        )
        for name, value in values.items()
    }


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"checkpoint {path}: got a file that cannot be read ({error}), allowed: a whole checkpoint")
