"""Model-agnostic meta-learning for reinforcement learning, regression and few-shot classification (Finn et al. 2017).

The public interface is this file's exports, `load`, `adapt`, `roll_out`, and their results. Importing it
registers the families with Gymnasium.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maml_rl.machine.quiet_start import quiet_start

if TYPE_CHECKING:
    from maml_rl.interface.adapting import adapt
    from maml_rl.interface.loading import load
    from maml_rl.interface.meta_model import MetaModel
    from maml_rl.interface.meta_policy import MetaPolicy, roll_out
    from maml_rl.rl.trajectories import Trajectories

quiet_start()
import_module("maml_rl.envs.gymnasium_registry").register()  # what takes time comes after that

_MODULES = {
    "MetaModel": "interface.meta_model",
    "MetaPolicy": "interface.meta_policy",
    "Trajectories": "rl.trajectories",
    "adapt": "interface.adapting",
    "load": "interface.loading",
    "roll_out": "interface.meta_policy",
}
__all__ = ["MetaModel", "MetaPolicy", "Trajectories", "adapt", "load", "roll_out"]


def __getattr__(name: str) -> Any:
    """Import PyTorch, two seconds, not before someone wants more than a submodule."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"maml_rl.{_MODULES[name]}"), name)
