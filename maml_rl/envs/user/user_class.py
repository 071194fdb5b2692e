"""A family of tasks on any Gymnasium environment: a small class of the user's, named "module:Class"."""

import contextlib
import importlib
import inspect
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np

from maml_rl.envs.errors import FamilyError, WorkerError
from maml_rl.envs.user.global_randomness import seeded
from maml_rl.envs.user.task_form import TaskForm, as_row

METHODS = {"make_env": (), "sample_tasks": ("n", "rng"), "set_task": ("env", "task")}  # and what each is given
# Of the global generators while a module is imported, a class is built and an environment is made. It is the same in
# every process, run and evaluation: goals that a class draws there are its tasks' meaning.
SEED = 0
LINE = 500  # characters of a line of a traceback


class UserTasks(Protocol):
    """The user's class. It is built without arguments, once in the command's process and once in each worker."""

    def make_env(self) -> gymnasium.Env:
        """A new environment at each call."""
        ...

    def sample_tasks(self, n: int, rng: np.random.Generator) -> Sequence[Any] | np.ndarray:
        """The n tasks of a meta-batch: numbers, arrays of numbers, or dicts of these, all of one form."""
        ...

    def set_task(self, env: gymnasium.Env, task: Any) -> None:
        """Give an environment of `make_env` its task: a float, an array, or a dict. Called before each `reset`."""
        ...


def load_user_tasks(name: str) -> UserTasks:
    """Import the class, and build it. Raises FamilyError if there is none, or if it lacks a method."""
    module_name, _, class_name = name.partition(":")
    if not class_name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise FamilyError(f"{name}: not a class's name, allowed: module:Class, such as my_module:MyTasks")
    with seeded(SEED), _users_code(name, "the import"):
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
    with seeded(SEED), _users_code(name, "the class"):
        tasks = found()
    for method, given in METHODS.items():
        try:
            inspect.signature(getattr(tasks, method)).bind(*given)
        except (TypeError, ValueError) as error:
            allowed = f"{method}({', '.join(('self', *given))})"
            raise FamilyError(f"{name}: {method} cannot be called ({error}), allowed: {allowed}") from error
    return tasks


def make_env(name: str, tasks: UserTasks) -> gymnasium.Env:
    """An environment of the user's. Raises FamilyError for something else."""
    with seeded(SEED), _users_code(name, "make_env"):
        env = tasks.make_env()
    if not isinstance(env, gymnasium.Env):
        raise FamilyError(f"{name}: make_env gave a {type(env).__name__}, allowed: a gymnasium.Env")
    return env


def draw_tasks(name: str, tasks: UserTasks, n: int, rng: np.random.Generator) -> tuple[np.ndarray, TaskForm]:
    """The rows [n, ...] of n tasks, and their form.

    The class draws from `rng`, or from the global generators, which are keyed by it. Raises FamilyError unless it gives
    n tasks, all of one form and of finite numbers.
    """
    with seeded(int(rng.integers(2**32))), _users_code(name, "sample_tasks"):
        drawn = tasks.sample_tasks(n, rng)
    try:
        rows = [as_row(task) for task in drawn]
    except (TypeError, ValueError, OverflowError) as error:
        got, allowed = " ".join(repr(drawn).split())[:80], "n tasks: numbers, arrays of numbers, or dicts of these"
        raise FamilyError(f"{name}: sample_tasks gave {got}, allowed: {allowed}") from error
    if len(rows) != n:
        allowed = f"{n}, as many as it was asked for"
        raise FamilyError(f"{name}: sample_tasks({n}) gave {len(rows)} tasks, allowed: {allowed}")
    first = rows[0][1]
    for row, form in rows:
        if form != first:
            got, allowed = (_said(each) for each in (form, first))
            raise FamilyError(f"{name}: sample_tasks gave a task of {got}, allowed: {allowed}, as the first one has it")
        if not np.isfinite(row).all():
            raise FamilyError(f"{name}: sample_tasks gave a task that is not finite, allowed: numbers")
    return np.stack([row for row, _ in rows]), first


def _said(form: TaskForm) -> str:
    if form.parts:
        return "the keys " + ", ".join(f"{name} {shape}" for name, shape in form.parts)
    return f"shape {form.shape}"


def last_traceback() -> str:
    """The traceback of the exception at hand, its lines cut to a sensible length."""
    return "\n".join(line[:LINE] for line in traceback.format_exc().rstrip().splitlines())


@contextlib.contextmanager
def _users_code(name: str, part: str) -> Iterator[None]:
    """Raises WorkerError with the traceback for whatever the user's code raises."""
    try:
        yield
    except FamilyError:
        raise
    except (Exception, SystemExit) as error:
        raise WorkerError(f"{name}: an exception in {part}\n{last_traceback()}") from error


def _missing(found: type) -> list[str]:
    return [method for method in METHODS if not callable(getattr(found, method, None))]
