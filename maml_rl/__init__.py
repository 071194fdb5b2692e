"""Model-agnostic meta-learning for reinforcement learning (Finn, Abbeel & Levine 2017).

The public interface is this file's exports, `load`, `adapt`, `roll_out`, and their results. Importing it
registers the families with Gymnasium.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maml_rl.envs.gymnasium_registry import register

if TYPE_CHECKING:
    from maml_rl.meta_policy import MetaPolicy, adapt, load, roll_out
    from maml_rl.rl.trajectories import Trajectories

register()

_MODULES = {
    "MetaPolicy": "meta_policy",
    "Trajectories": "rl.trajectories",
    "adapt": "meta_policy",
    "load": "meta_policy",
    "roll_out": "meta_policy",
}
__all__ = ["MetaPolicy", "Trajectories", "adapt", "load", "roll_out"]


def __getattr__(name: str) -> Any:
    """Import PyTorch, two seconds, not before someone wants more than a submodule."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"maml_rl.{_MODULES[name]}"), name)
