"""The contract of a physics: all simulations of one model, stepped at once behind live torch views."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from collections.abc import Callable
from typing import Protocol

import mujoco
import torch
from torch import Tensor


class Physics(Protocol):
    """`num_tasks * episodes_per_task` simulations of one model: by `cpu`, or by `warp`.

    `qpos` [M, E, nq], `qvel` [M, E, nv] and `ctrl` [M, E, nu] are live views of the state, on its device and in its
    dtype: reading them is free, writing them sets the state.
    """

    model: mujoco.MjModel  # nominal
    device: torch.device
    dtype: torch.dtype
    overlaps: bool  # as of `maml_rl.envs.simulation.Simulation`
    qpos: Tensor
    qvel: Tensor
    ctrl: Tensor

    def field(self, name: str) -> Tensor:
        """A live view [M, E, ...] of an MjData field.

        Derived fields (`xpos`, `subtree_com`, ...) are read-only. After `step` they describe the state before its last
        substep; with the Runge-Kutta integrator the last stage of that substep, which ends in the new state.
        """
        ...

    def model_field(self, name: str) -> Tensor:
        """A live view [M, E, ...] of a field of the simulations' own models; `set_const` makes MuJoCo follow it."""
        ...

    def set_const(self) -> None:
        """Compute anew the constants that MuJoCo derives from masses, inertias and the like."""
        ...

    def reset(self) -> None:
        """Put every simulation into the model's default state, and clear `diverged`.

        Derived fields (`xpos`, ...) stay as they were until `forward`.
        """
        ...

    def restart(self, simulations: Tensor) -> None:
        """Put some simulations [M, E] bool into the model's default state. The others do not change."""
        ...

    def forward(self, simulations: Tensor | None = None) -> None:
        """Compute the derived fields that `field` gave from the present state, of some simulations [M, E] or of all."""
        ...

    def step(self, substeps: int) -> None:
        """Advance every simulation by `substeps` time steps."""
        ...

    def diverged(self) -> Tensor:
        """[M, E] bool: simulations that became unstable since `reset`."""
        ...


MakePhysics = Callable[[mujoco.MjModel, int, int], Physics]  # of a model, num_tasks and episodes_per_task
