"""What a loaded policy or model prints as."""

from typing import Protocol

from torch import Tensor

from maml_rl.options.config import Config, tasks_of


class Trained(Protocol):
    """A policy or model, and where it comes from."""

    @property
    def config(self) -> Config: ...
    @property
    def theta(self) -> Tensor: ...
    @property
    def iteration(self) -> int: ...
    @property
    def gradient_steps(self) -> int: ...


def in_short(trained: Trained) -> str:
    """MetaPolicy(maml, navigation-2d, 7004 parameters, iteration 100, gradient_steps 0)."""
    config = trained.config
    parts = [config.algorithm, tasks_of(config), f"{len(trained.theta)} parameters", f"iteration {trained.iteration}"]
    return f"{type(trained).__name__}({', '.join(parts)}, gradient_steps {trained.gradient_steps})"
