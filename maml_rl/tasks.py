"""Tasks that a user gives."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from maml_rl.config import UsageError


def as_tasks(given: Sequence[Any], task_shape: tuple[int, ...], label: str) -> Tensor:
    """Tasks [M, *task_shape] (float64) from M given ones; a plain number stands for a task of one.

    Raises UsageError, beginning with `label`, for a task of another shape, or with something else than numbers.
    """
    rows: list[Tensor] = []
    for one in given:
        try:
            row = torch.as_tensor(one, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"{label}: got {one!r}, allowed: {_wanted(task_shape)}") from error
        if row.ndim == 0 and torch.Size(task_shape).numel() == 1:
            row = row.reshape(task_shape)
        if tuple(row.shape) != task_shape or not row.isfinite().all():
            raise UsageError(f"{label}: got {one!r}, allowed: {_wanted(task_shape)}")
        rows.append(row)
    return torch.stack(rows)


def load_tasks(path: Path, task_shape: tuple[int, ...]) -> Tensor:
    """The list of tasks in a JSON or YAML file, as `as_tasks` has them. Raises UsageError where it is none."""
    option = "--fixed-tasks"
    try:
        text = path.read_text()
        given = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a readable file ({error.strerror})") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a list of tasks in JSON or YAML ({where})") from error
    if not isinstance(given, list) or not given:
        got = "an empty list" if given == [] else f"a {type(given).__name__}"
        raise UsageError(f"{option}: got {got} in {str(path)!r}, allowed: a list of one or more tasks in JSON or YAML")
    return as_tasks(given, task_shape, f"{option}: {path}")


def _wanted(task_shape: tuple[int, ...]) -> str:
    size = torch.Size(task_shape).numel()
    return "a number" if size == 1 else f"{size} numbers, in the shape {list(task_shape)}"
