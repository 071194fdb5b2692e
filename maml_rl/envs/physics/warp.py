"""MuJoCo on the GPU: all simulations of a model as the worlds of MuJoCo Warp, behind live torch views.

Imports Warp, of the extra `gpu`: import this only if Warp is wanted.
"""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import contextlib
import copy
from collections.abc import Callable, Iterator

import mujoco
import mujoco_warp as mjw
import torch
import warp as wp
from torch import Tensor

from maml_rl.envs.errors import FamilyError
from maml_rl.envs.physics.warp_capacity import Capacity, largest_capacity
from maml_rl.envs.physics.warp_kernels import align_frames, settle

# Fields of the model that follow from masses and inertias: one value per world if these have one.
DERIVED = ["body_subtreemass", "body_invweight0", "dof_invweight0", "tendon_invweight0", "actuator_acc0"]
TOO_MANY_CONTACTS = mjw.OverflowType.BROADPHASE | mjw.OverflowType.NARROWPHASE | mjw.OverflowType.CCD
TOO_MANY_CONSTRAINTS = mjw.OverflowType.NEFC | mjw.OverflowType.NJMAX_NNZ

wp.config.log_level = wp.LOG_WARNING  # no messages about loading and compiling
wp.init()


class WarpPhysics:
    """`num_tasks * episodes_per_task` simulations of one model, in float32, as `maml_rl.envs.physics.contract.Physics`.

    Its computations are recorded as graphs of kernels, a step with all of its substeps as one, and replayed on torch's
    current stream: nothing waits for the device until `diverged`. Unstable worlds are stepped too, and put back.
    """

    dtype = torch.float32
    overlaps = False

    def __init__(
        self,
        model: mujoco.MjModel,
        num_tasks: int,
        episodes_per_task: int,
        device: torch.device,
        contacts: int = 0,
        constraints: int = 0,
    ) -> None:
        """device: CUDA, or the CPU, on which Warp computes in one thread.

        contacts, constraints: a world's room; 0 for as many as the model can have at all. Raises FamilyError
        if MuJoCo Warp does not run the model.
        """
        self.model = model
        self.device = torch.empty(0, device=device).device  # with its number: Warp knows no "cuda" alone
        self._shape = (num_tasks, episodes_per_task)
        self._num_worlds = num_tasks * episodes_per_task
        self._warp_device = wp.device_from_torch(self.device)
        largest = largest_capacity(model)
        self._capacity = Capacity(contacts or largest.contacts, constraints or largest.constraints)
        self._loaded: set[str] = set()  # computations whose kernels are there
        self._graphs: dict[str, wp.Graph] = {}  # recorded computations
        model = _with_newton_solver(model)
        with self._on_device():
            try:
                self._model = mjw.put_model(model)
            except (NotImplementedError, ValueError) as error:
                raise FamilyError(f"MuJoCo Warp does not run this model: {error}") from error
            self._model.opt.warn_overflow = 0  # `diverged` tells
            self._model.callback.contactfilter = _align_frames
            self._data = mjw.make_data(
                model, self._num_worlds, nconmax=self._capacity.contacts, njmax=self._capacity.constraints
            )
            self._unstable = wp.zeros(self._num_worlds, dtype=bool)
            self._starting = wp.zeros(self._num_worlds, dtype=bool)
            self._qpos_before, self._qvel_before = wp.empty_like(self._data.qpos), wp.empty_like(self._data.qvel)
        self._per_world: set[str] = set()  # fields of the model
        self._derived: list[Tensor] = []  # fields that `field` gave and that `forward` computes
        self.qpos, self.qvel, self.ctrl = self.field("qpos"), self.field("qvel"), self.field("ctrl")
        self._failed = self._view(self._unstable)
        self._warm_start = self._view(self._data.qacc_warmstart)
        self.reset()

    def field(self, name: str) -> Tensor:
        view = self._view(getattr(self._data, name))
        if name not in ("qpos", "qvel", "ctrl"):
            self._derived.append(view)
        return view

    def model_field(self, name: str) -> Tensor:
        for each in (name, *DERIVED):
            if each not in self._per_world:
                self._give_each_world(each)
        return self._view(getattr(self._model, name))

    def set_const(self) -> None:
        groups = mjw.SetConstGroup.FIXED | mjw.SetConstGroup.INERT0
        self._compute("set_const", lambda: mjw.set_const(self._model, self._data, groups))

    def reset(self) -> None:
        self._failed.zero_()
        self._compute("reset", lambda: mjw.reset_data(self._model, self._data))

    def restart(self, simulations: Tensor) -> None:
        self._view(self._starting).copy_(simulations)
        self._compute("restart", lambda: mjw.reset_data(self._model, self._data, self._starting))

    def forward(self, simulations: Tensor | None = None) -> None:
        # Warp computes all worlds. The derived fields of the others are of the start of their last substep, and stay.
        kept = {} if simulations is None else {view: view.clone() for view in (self._warm_start, *self._derived)}
        self._compute("forward", lambda: mjw.forward(self._model, self._data))
        for view, before in kept.items():
            chosen = simulations.reshape(*self._shape, *[1] * (view.ndim - 2))  # type: ignore[union-attr]
            view.copy_(view.where(chosen, before))

    def step(self, substeps: int) -> None:
        self._compute(f"step {substeps}", lambda: self._advance(substeps))

    def diverged(self) -> Tensor:
        """[M, E] bool: simulations that became unstable since `reset`. Waits for the device.

        Raises FamilyError if a world had more contacts or constraints than there was room for.
        """
        overflow = wp.to_torch(self._data.overflow)
        flags = torch.stack([(overflow & int(flag) != 0).any() for flag in (TOO_MANY_CONTACTS, TOO_MANY_CONSTRAINTS)])
        too_many_contacts, too_many_constraints = flags.tolist()
        if too_many_contacts:
            raise FamilyError(_overflow("contacts", self._capacity.contacts))
        if too_many_constraints:
            raise FamilyError(_overflow("constraints", self._capacity.constraints))
        return self._failed.clone()

    def _view(self, array: wp.array) -> Tensor:
        return wp.to_torch(array).unflatten(0, self._shape)

    def _give_each_world(self, name: str) -> None:
        """Make a model's field one value per world, as `put_model`'s `batch_sizes` does, and forget the recordings."""
        shared = getattr(self._model, name)
        with self._on_device():
            own = wp.empty((self._num_worlds, *shared.shape[1:]), dtype=shared.dtype)
        wp.to_torch(own).copy_(wp.to_torch(shared))
        setattr(self._model, name, own)
        self._per_world.add(name)
        self._graphs.clear()

    def _advance(self, substeps: int) -> None:
        wp.copy(self._qpos_before, self._data.qpos)
        wp.copy(self._qvel_before, self._data.qvel)
        for _ in range(substeps):
            mjw.step(self._model, self._data)
        data, before = self._data, [self._qpos_before, self._qvel_before]
        outputs = [self._unstable, data.qpos, data.qvel, data.qacc_warmstart]
        wp.launch(settle, self._num_worlds, inputs=[*before, data.ctrl, data.qacc], outputs=outputs)

    def _compute(self, name: str, launch: Callable[[], None]) -> None:
        """Launch the kernels of `launch` directly the first time, when they are compiled and loaded."""
        if name not in self._loaded:
            with self._on_device():
                launch()
            self._loaded.add(name)
            return
        if name not in self._graphs:
            self._graphs[name] = self._record(launch)
        wp.capture_launch(self._graphs[name], self._torch_stream())

    def _record(self, launch: Callable[[], None]) -> wp.Graph:
        """A graph of the kernels of `launch`, which are not executed."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(wp.ScopedDevice(self._warp_device))
            if self._warp_device.is_cuda:  # which does not record on its default stream, mostly torch's current one
                stack.enter_context(wp.ScopedStream(wp.Stream(self._warp_device)))
            capture = stack.enter_context(wp.ScopedCapture())
            launch()
        assert capture.graph is not None
        return capture.graph

    @contextlib.contextmanager
    def _on_device(self) -> Iterator[None]:
        """Have Warp's own functions allocate and launch on the device, in the order of torch's current stream."""
        stream = self._torch_stream()
        with wp.ScopedDevice(self._warp_device) if stream is None else wp.ScopedStream(stream):
            yield

    def _torch_stream(self) -> wp.Stream | None:
        return wp.stream_from_torch(self.device) if self._warp_device.is_cuda else None


def _with_newton_solver(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model, with MuJoCo's Newton solver in place of PGS, which Warp lacks.

    Both solve the same convex problem. The humanoid's states differ by 1e-5 after 20 steps, in float64.
    """
    if model.opt.solver != mujoco.mjtSolver.mjSOL_PGS:
        return model
    model = copy.copy(model)
    model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
    return model


def _align_frames(model: mjw.Model, data: mjw.Data) -> None:
    contact = data.contact
    inputs = [model.geom_type, data.geom_xmat, data.nacon, contact.geom, contact.worldid]
    wp.launch(align_frames, data.naconmax, inputs=inputs, outputs=[contact.frame])


def _overflow(what: str, room: int) -> str:
    return f"a simulation had more {what} than warp has room for: raise --warp-{what} above {room}"
