"""What steps all simulations of a model at once, behind live torch views; and MuJoCo on the CPU, which does."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import mujoco
import numpy as np
import torch
from torch import Tensor

from envs.errors import FamilyError
from envs.turns import turn_given_away

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


class _QuietMujoco:
    """Context manager: keeps MuJoCo from printing warnings and from leaving MUJOCO_LOG.TXT in the working folder.

    Errors still raise. MuJoCo's setting is the process's: it is restored when the last thread has left the block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
                silent.logto_console = silent.logto_file = False
                silent.set()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._before.set()


quiet_mujoco = _QuietMujoco()


def load_gymnasium_model(file_name: str, contact_forces: bool = False) -> mujoco.MjModel:
    """Load one of Gymnasium's own MuJoCo models, such as "half_cheetah.xml".

    contact_forces: whether MuJoCo is to compute `cfrc_ext`, which it leaves at zero unless a sensor needs it. Raises
    FamilyError before MuJoCo 4.
    """
    if Batch is None:
        raise FamilyError(f"the families with MuJoCo's physics need mujoco>=4, found {mujoco.__version__}")
    spec = importlib.util.find_spec("gymnasium")  # finds the folder without the cost of importing the package
    assert spec is not None
    assert spec.origin is not None
    path = str(Path(spec.origin).parent / "envs" / "mujoco" / "assets" / file_name)
    with quiet_mujoco:
        if not contact_forces:
            return mujoco.MjModel.from_xml_path(path)
        model = mujoco.MjSpec.from_file(path)
        site = model.bodies[1].add_site(name="contact_forces")
        model.add_sensor(
            name="contact_forces",
            type=mujoco.mjtSensor.mjSENS_ACCELEROMETER,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=site.name,
        )
        return model.compile()


class Physics(Protocol):
    """`num_tasks * episodes_per_task` simulations of one model: `CpuPhysics`, or `envs.warp_physics.WarpPhysics`.

    `qpos` [M, E, nq], `qvel` [M, E, nv] and `ctrl` [M, E, nu] are live views of the state, on its device and in its
    dtype: reading them is free, writing them sets the state.
    """

    model: mujoco.MjModel  # nominal
    device: torch.device
    dtype: torch.dtype
    overlaps: bool  # as of `envs.task_env.TaskEnv`
    qpos: Tensor
    qvel: Tensor
    ctrl: Tensor

    def field(self, name: str) -> Tensor:
        """A live view [M, E, ...] of an MjData field.

        Derived fields (`xpos`, `subtree_com`, ...) are read-only. After `step` they describe the state before its last
        substep; with the Runge-Kutta integrator the last stage of that substep, which ends where the new state is.
        """
        ...

    def model_field(self, name: str) -> Tensor:
        """A live view [M, E, ...] of a field of the simulations' own models; `set_const` makes MuJoCo follow it."""
        ...

    def set_const(self) -> None:
        """Compute anew what MuJoCo derives from masses, inertias and the like."""
        ...

    def reset(self) -> None:
        """Put every simulation into the model's default state, without computing what derives from it."""
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


Simulate = Callable[[mujoco.MjModel, int, int], Physics]  # of a model, num_tasks and episodes_per_task


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
