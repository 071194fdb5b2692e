"""Families of tasks: physics, rewards, observations. The contract is in `envs.task_env`."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# MuJoCo reads MUJOCO_GL when it is imported, and fails where that backend is missing, also for those who want no
# pictures. `envs.pictures.offscreen` reads it when someone does.
_gl = os.environ.pop("MUJOCO_GL", None)
import mujoco as _mujoco  # noqa: E402, F401

if _gl is not None:
    os.environ["MUJOCO_GL"] = _gl

if TYPE_CHECKING:
    from envs.families import ENVS, has_physics, make
    from envs.family import Family
    from envs.keyed_generator import KeyedGenerator
    from envs.physics.turns import python_turn
    from envs.task_env import TaskEnv
    from envs.wrappers.oracle import OracleEnv

__all__ = ["ENVS", "Family", "KeyedGenerator", "OracleEnv", "TaskEnv", "has_physics", "make", "python_turn"]

_MODULES = {
    "ENVS": "families",
    "Family": "family",
    "KeyedGenerator": "keyed_generator",
    "OracleEnv": "wrappers.oracle",
    "TaskEnv": "task_env",
    "has_physics": "families",
    "make": "families",
    "python_turn": "physics.turns",
}


def __getattr__(name: str) -> Any:
    """Import PyTorch, two seconds and 200 MB, not before someone wants it: the bridge's worker processes do not."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"envs.{_MODULES[name]}"), name)
