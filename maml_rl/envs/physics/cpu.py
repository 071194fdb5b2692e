"""MuJoCo on the CPU, in float64."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from maml_rl.envs.physics.quiet_mujoco import quiet_mujoco
from maml_rl.envs.physics.turns import turn_given_away

try:
    from mujoco.batch import Batch, SimulationError
except ModuleNotFoundError:  # MuJoCo 3, which others of a user's packages may need
    Batch: Any = None
    SimulationError: Any = None

UNSTABLE = [
    mujoco.mjtWarning.mjWARN_BADQPOS.value,
    mujoco.mjtWarning.mjWARN_BADQVEL.value,
    mujoco.mjtWarning.mjWARN_BADQACC.value,
    mujoco.mjtWarning.mjWARN_BADCTRL.value,
]


class CpuPhysics:
    """`Physics` in float64, stepped on a thread pool inside MuJoCo. Results are bit-identical at any thread count."""

    device = torch.device("cpu")
    dtype = torch.float64
    overlaps = True

    def __init__(self, model: mujoco.MjModel, num_tasks: int, episodes_per_task: int, num_threads: int = 0) -> None:
        """num_threads: size of MuJoCo's thread pool; 0 takes one per CPU."""
        self.model = model
        self.batch = Batch(model, nsim=num_tasks * episodes_per_task, nthread=num_threads)
        self._shape = (num_tasks, episodes_per_task)
        self._failed = np.zeros(self.batch.nsim, dtype=bool)
        self.qpos = self.field("qpos")
        self.qvel = self.field("qvel")
        self.ctrl = self.field("ctrl")

    def field(self, name: str) -> Tensor:
        return torch.from_dlpack(self.batch.bind(name)).unflatten(0, self._shape)

    def model_field(self, name: str) -> Tensor:
        return torch.from_dlpack(self.batch.expand(name)).unflatten(0, self._shape)

    def set_const(self) -> None:
        self.batch.set_const()

    def reset(self) -> None:
        self._failed[:] = False
        with quiet_mujoco:
            self.batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE.value)

    def restart(self, simulations: Tensor) -> None:
        self._failed |= self._unstable()  # a restarted simulation's warnings are counted from zero
        with quiet_mujoco:
            self.batch.reset(ids=_ids(simulations), stage=mujoco.mjtStage.mjSTAGE_NONE.value)

    def forward(self, simulations: Tensor | None = None) -> None:
        with quiet_mujoco:
            self.batch.forward(ids=None if simulations is None else _ids(simulations))

    def step(self, substeps: int) -> None:
        with quiet_mujoco:
            try:
                with turn_given_away():
                    self.batch.step(nstep=substeps)
            except SimulationError as error:
                # The others have finished. The failed ones go on from the default state, so that they raise only once.
                self._failed[error.ids] = True
                self.batch.reset(ids=error.ids)

    def diverged(self) -> Tensor:
        """[M, E] bool: simulations that raised, or became unstable and were reset by MuJoCo, since `reset`."""
        return torch.from_numpy(self._unstable() | self._failed).unflatten(0, self._shape)

    def _unstable(self) -> np.ndarray:
        return self.batch.warning[:, UNSTABLE, 1].any(axis=1)


def _ids(simulations: Tensor) -> np.ndarray:
    """Numbers of the simulations that are true in [M, E]."""
    return np.flatnonzero(simulations.numpy())
