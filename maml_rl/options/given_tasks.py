"""Tasks that a user gives, or names."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maml_rl.envs import Family
from maml_rl.options.shipped import PRESETS
from maml_rl.schema.documents import DocumentError, parse_json, parse_yaml, read_text
from maml_rl.schema.errors import UsageError, nearest, shown

# The tasks that ship by name, configs/tasks/<name>/<env>.json, and how many episodes of each their test collects for a
# gradient step. maml-paper, the authors' test scripts of Finn et al. 2017: 4,000 steps, of ant-dir 8,000.
NAMED_TASKS = PRESETS / "tasks"
EPISODES = {
    "maml-paper": {"navigation-2d": 40, "halfcheetah-dir": 20, "halfcheetah-vel": 20, "ant-vel": 20, "ant-dir": 40}
}
MAX_TASKS = 100_000  # in a file


def as_tasks(given: Sequence[Any], family: Family, label: str) -> Tensor:
    """Tasks [M, *family.task_shape] (float64) from M given ones; a plain number stands for a task of one.

    Raises UsageError, beginning with `label`, for a task of another shape, with something else than numbers, or with
    one beyond the family's bound.
    """
    rows: list[Tensor] = []
    for one in given:
        try:
            row = _numbers(one, family)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise UsageError(f"{label}: got {shown(one)}, allowed: {_wanted(family)}") from error
        if row.ndim == 0 and prod(family.task_shape) == 1:
            row = row.reshape(family.task_shape)
        if tuple(row.shape) != family.task_shape or not (row.abs() <= family.task_bound).all():
            raise UsageError(f"{label}: got {shown(one)}, allowed: {_wanted(family)}")
        rows.append(row)
    return torch.stack(rows)


def load_tasks(given: str, env: str, family: Family) -> Tensor:
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
        text = read_text(path)
    except DocumentError as error:
        allowed = f"a readable file ({error}), or {', '.join(EPISODES)}{nearest(given, EPISODES)}"
        raise UsageError(f"{option}: got {given!r}, allowed: {allowed}") from error
    try:
        tasks = parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except DocumentError as error:
        raise UsageError(f"{option}: got {given!r}, allowed: a list of tasks in JSON or YAML ({error})") from error
    if not isinstance(tasks, list) or not 1 <= len(tasks) <= MAX_TASKS:
        got = f"a list of {len(tasks)}" if isinstance(tasks, list) else f"a {type(tasks).__name__}"
        got = "an empty list" if tasks == [] else got
        raise UsageError(f"{option}: got {got} in {given!r}, allowed: a list of 1 to {MAX_TASKS} tasks in JSON or YAML")
    return as_tasks(tasks, family, f"{option}: {given}")


def episodes_of(given: str | None, env: str) -> int | None:
    """Episodes of each task for a gradient step, in the test that named tasks are from; None for a file of tasks."""
    return EPISODES.get(given or "", {}).get(env)


def _numbers(one: Any, family: Family) -> Tensor:
    """A given task as a tensor of any shape; one that is a dict, part after part. Raises what torch raises."""
    parts = dict(family.task_parts)
    if not parts:
        return _tensor(one)
    if not isinstance(one, Mapping) or one.keys() != parts.keys():
        raise ValueError("a dict with other keys")
    rows = {name: _tensor(one[name]) for name in parts}
    if any(tuple(row.shape) != parts[name] for name, row in rows.items()):
        raise ValueError("a part of another shape")
    return torch.cat([row.flatten() for row in rows.values()])


def _tensor(numbers: Any) -> Tensor:
    """Numbers as a tensor (float64). Raises ValueError for booleans, which torch takes, and what torch raises."""
    tensor = torch.as_tensor(numbers, dtype=torch.float64)
    if _has_booleans(numbers):
        raise ValueError("booleans")
    return tensor


def _has_booleans(numbers: Any) -> bool:
    return isinstance(numbers, bool) or (isinstance(numbers, list) and any(map(_has_booleans, numbers)))


def _wanted(family: Family) -> str:
    size = prod(family.task_shape)
    bound = f" from {-family.task_bound:g} to {family.task_bound:g}"
    if family.task_parts:
        return "a dict of numbers" + bound + " with the keys " + ", ".join(dict(family.task_parts))
    return ("a number" if size == 1 else f"{size} numbers, in the shape {list(family.task_shape)},") + bound
