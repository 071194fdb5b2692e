"""A family of tasks on any Gymnasium environment: a small class of the user's, named "module:Class"."""

import importlib
import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np

from maml_rl.envs.errors import FamilyError

METHODS = ("make_env", "sample_tasks", "set_task")


class UserTasks(Protocol):
    """The user's class. It is built without arguments, once in the command's process and once in each worker."""

    def make_env(self) -> gymnasium.Env:
        """A new environment at each call."""
        ...

    def sample_tasks(self, n: int, rng: np.random.Generator) -> Sequence[Any] | np.ndarray:
        """n tasks, each a number or an array of numbers, all of one shape."""
        ...

    def set_task(self, env: gymnasium.Env, task: Any) -> None:
        """Give an environment of `make_env` its task: a float, or an array. Called before each `reset`."""
        ...


def load_user_tasks(name: str) -> UserTasks:
    """Import the class, and build it. Raises FamilyError if there is none, or if it lacks a method."""
    module_name, _, class_name = name.partition(":")
    if not class_name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise FamilyError(f"{name}: not a class's name, allowed: module:Class, such as my_module:MyTasks")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        allowed = "a module of this folder, or an installed one"
        raise FamilyError(f"{name}: {module_name} cannot be imported ({reason}), allowed: {allowed}") from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        choices = [each for each, value in vars(module).items() if isinstance(value, type) and not _missing(value)]
        allowed = ", ".join(choices) or f"a class with {', '.join(METHODS)}, of which there is none"
        raise FamilyError(f"{name}: {module_name} has no class {class_name}, allowed: {allowed}")
    if _missing(found):
        missing, allowed = ", ".join(_missing(found)), ", ".join(METHODS)
        raise FamilyError(f"{name}: has no method {missing}, allowed: a class with {allowed}")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise FamilyError(f"{name}: cannot be built ({error}), allowed: a class without arguments") from error
    return found()


def make_env(name: str, tasks: UserTasks) -> gymnasium.Env:
    """An environment of the user's. Raises FamilyError for something else."""
    env = tasks.make_env()
    if not isinstance(env, gymnasium.Env):
        raise FamilyError(f"{name}: make_env gave a {type(env).__name__}, allowed: a gymnasium.Env")
    return env


def draw_tasks(name: str, tasks: UserTasks, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """n tasks (float64), of any shape each. Raises FamilyError for another number of them, and for no numbers."""
    drawn = tasks.sample_tasks(n, rng)
    try:
        rows = [np.asarray(row, dtype=np.float64) for row in drawn]
    except (TypeError, ValueError) as error:
        got = " ".join(repr(drawn).split())[:80]
        raise FamilyError(f"{name}: sample_tasks gave {got}, allowed: n tasks of numbers") from error
    if len(rows) != n:
        raise FamilyError(f"{name}: sample_tasks gave {len(rows)} tasks, allowed: {n}, as it was asked for")
    if not all(np.isfinite(row).all() for row in rows):
        raise FamilyError(f"{name}: sample_tasks gave a task that is not finite, allowed: numbers")
    return rows


def _missing(found: type) -> list[str]:
    return [method for method in METHODS if not callable(getattr(found, method, None))]
