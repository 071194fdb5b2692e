"""Tasks that a user gives, or names."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from maml_rl.options.shipped import PRESETS
from maml_rl.schema.errors import UsageError, nearest

# The tasks that ship by name, configs/tasks/<name>/<env>.json, and how many episodes of each their test collects for a
# gradient step. maml-paper, the authors' test scripts of Finn et al. 2017: 4,000 steps, of ant-dir 8,000.
NAMED_TASKS = PRESETS / "tasks"
EPISODES = {
    "maml-paper": {"navigation-2d": 40, "halfcheetah-dir": 20, "halfcheetah-vel": 20, "ant-vel": 20, "ant-dir": 40}
}


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


def load_tasks(given: str, env: str, task_shape: tuple[int, ...]) -> Tensor:
    """The tasks that --fixed-tasks gives, a name or a JSON or YAML file with a list of them, as `as_tasks` has them.

    A name means the shipped tasks of the family `env` even if there is such a file. Raises UsageError for a family that
    has none by this name, and for a file that has none.
    """
    option, path = "--fixed-tasks", Path(given)
    if given in EPISODES:
        if env not in EPISODES[given]:
            families = ", ".join(EPISODES[given])
            raise UsageError(f"{option}: got {given!r}, allowed for {env}: a file; {given} has tasks of {families}")
        path = NAMED_TASKS / given / f"{env}.json"
    try:
        text = path.read_text()
        tasks = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        allowed = f"a readable file ({error.strerror}), or {', '.join(EPISODES)}{nearest(given, EPISODES)}"
        raise UsageError(f"{option}: got {given!r}, allowed: {allowed}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise UsageError(f"{option}: got {given!r}, allowed: a list of tasks in JSON or YAML ({where})") from error
    if not isinstance(tasks, list) or not tasks:
        got = "an empty list" if tasks == [] else f"a {type(tasks).__name__}"
        raise UsageError(f"{option}: got {got} in {given!r}, allowed: a list of one or more tasks in JSON or YAML")
    return as_tasks(tasks, task_shape, f"{option}: {given}")


def episodes_of(given: str | None, env: str) -> int | None:
    """Episodes of each task for a gradient step, in the test that named tasks are from; None for a file of tasks."""
    return EPISODES.get(given or "", {}).get(env)


def _wanted(task_shape: tuple[int, ...]) -> str:
    size = torch.Size(task_shape).numel()
    return "a number" if size == 1 else f"{size} numbers, in the shape {list(task_shape)}"
