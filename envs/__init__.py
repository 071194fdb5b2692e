"""Families of tasks: physics, rewards, observations. The contracts are in `envs.family` and `envs.simulation`."""

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
    from envs.families import ENVS, has_physics, make_family
    from envs.family import Family
    from envs.keyed_generator import KeyedGenerator
    from envs.physics.turns import python_turn
    from envs.simulation import Simulation
    from envs.wrappers.oracle import OracleFamily

__all__ = [
    "ENVS",
    "Family",
    "KeyedGenerator",
    "OracleFamily",
    "Simulation",
    "has_physics",
    "make_family",
    "python_turn",
]

_MODULES = {
    "ENVS": "families",
    "Family": "family",
    "KeyedGenerator": "keyed_generator",
    "OracleFamily": "wrappers.oracle",
    "Simulation": "simulation",
    "has_physics": "families",
    "make_family": "families",
    "python_turn": "physics.turns",
}


def __getattr__(name: str) -> Any:
    """Import PyTorch, two seconds and 200 MB, not before someone wants it: the bridge's worker processes do not."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"envs.{_MODULES[name]}"), name)
