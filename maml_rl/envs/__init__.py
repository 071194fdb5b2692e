"""Families of tasks: physics, rewards, observations. The contracts are in `family` and `simulation`.

Nothing here knows of the rest of maml_rl.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

# As it is imported MuJoCo loads the OpenGL backend that MUJOCO_GL names, or glfw, which starts a process to ask for its
# version; it fails if that backend is missing, also for those who want no pictures.
_gl = os.environ.get("MUJOCO_GL")
os.environ["MUJOCO_GL"] = "disable"
import mujoco as _mujoco  # noqa: E402, F401

os.environ.pop("MUJOCO_GL")
if _gl is not None:
    os.environ["MUJOCO_GL"] = _gl

if TYPE_CHECKING:
    from maml_rl.envs.families import ENVS, has_physics, make_family
    from maml_rl.envs.family import Family
    from maml_rl.envs.keyed_generator import KeyedGenerator
    from maml_rl.envs.physics.turns import python_turn
    from maml_rl.envs.simulation import Simulation
    from maml_rl.envs.wrappers.oracle import OracleFamily
    from maml_rl.envs.wrappers.trial import TrialFamily

__all__ = [
    "ENVS",
    "Family",
    "KeyedGenerator",
    "OracleFamily",
    "Simulation",
    "TrialFamily",
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
    "TrialFamily": "wrappers.trial",
    "has_physics": "families",
    "make_family": "families",
    "python_turn": "physics.turns",
}


def __getattr__(name: str) -> Any:
    """Import PyTorch, two seconds and 200 MB, not before someone wants it: the bridge's worker processes do not."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"maml_rl.envs.{_MODULES[name]}"), name)


def _gl_context(*size: int) -> Any:
    """MuJoCo's OpenGL context, of the backend that MUJOCO_GL names, for whoever uses `mujoco.Renderer` beside us."""
    return import_module(f"mujoco.{os.environ.get('MUJOCO_GL') or 'glfw'}").GLContext(*size)


for _name in ("mujoco.rendering.classic.gl_context", "mujoco.gl_context"):  # of MuJoCo 4, and 3
    if _name in sys.modules:
        setattr(sys.modules[_name], "GLContext", _gl_context)  # noqa: B010 - a module that pyright does not know
