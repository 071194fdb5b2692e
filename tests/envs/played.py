"""A family and a simulation of it, as one object."""

from typing import Any

import torch

from maml_rl import envs
from maml_rl.envs import Family, Simulation


class Played:
    """Has what either of the two has. A step says whether the episode ended, and not why."""

    def __init__(self, family: Family, simulation: Simulation) -> None:
        self.family, self.simulation = family, simulation

    def __getattr__(self, name: str) -> Any:
        return getattr(self.simulation if hasattr(self.simulation, name) else self.family, name)

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        step = self.simulation.step(actions)
        return step.observations, step.rewards, step.terminated | step.truncated


def played(family: Family | str, num_tasks: int, episodes_per_task: int, variant="maml", **options: Any) -> Played:
    """family: or its name. options: of `Family.simulate`."""
    family = envs.make_family(family, variant, num_tasks) if isinstance(family, str) else family
    return Played(family, family.simulate(num_tasks, episodes_per_task, **options))
