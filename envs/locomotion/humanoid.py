"""The humanoid that must walk in a given direction (ProMP, Rothfuss et al. 2019)."""

from typing import Literal

import torch
from torch import Tensor

from envs.keyed_generator import KeyedGenerator
from envs.locomotion.ant import unit_circle
from envs.physics.contract import Simulate
from envs.physics.cpu import CpuPhysics
from envs.physics.gymnasium_models import load_gymnasium_model
from envs.pictures.renderer import Renderer
from envs.start_states import StartStates
from envs.task_env import check_tasks

TORSO = 1  # body id: its subtree is the whole body
SUBSTEPS = 5  # physics steps of 0.003 s per action
ACTION_SCALE = 0.1  # of the actuators' range per unit of policy output
# ProMP's code divides by the physics step instead of the env's dt, and so pays five times as much.
VELOCITY_REWARD = 0.25  # per m/s along the direction
ALIVE = 5.0  # reward of each step
CONTROL_COST = 0.1  # reward per squared actuator unit
CONTACT_COST, MAX_CONTACT_COST = 5e-7, 10.0  # reward per squared unit of the external forces on the bodies; of a step
MIN_HEIGHT, MAX_HEIGHT = 1.0, 2.0  # m, of the torso
RESET_SCALE = 0.01  # m, rad, m/s, rad/s: initial qpos and qvel are the nominal ones + U(-scale, scale)


class HumanoidDir:
    """Tasks are directions [2], uniform on the unit circle; done when the torso's height is outside of [1, 2] m.

    The reward of a step is 0.25 d . v + 5 - 0.1 |a|^2 - min(5e-7 |forces|^2, 10), v the velocity of the centre of mass
    (m/s) over the whole step of 0.015 s, a the controls: the action times 0.1, clipped to +-1, times the range of 0.4.
    Observations, as Gymnasium has them: qpos without x and y [22] (m, rad, a quaternion), qvel [23] (m/s, rad/s), the
    bodies' inertias about the centre of mass [140], their velocities [84], the actuators' forces [23], and the external
    forces on each body [84] (N m, N). When they are computed: see `envs.locomotion.ant.Ant`.
    """

    horizon = 200
    action_bound = 1 / ACTION_SCALE
    task_shape: tuple[int, ...] = (2,)
    discrete = False
    terminates = True

    def __init__(self, num_tasks: int, episodes_per_task: int, simulate: Simulate = CpuPhysics) -> None:
        self.num_tasks = num_tasks
        self.episodes_per_task = episodes_per_task
        model = load_gymnasium_model("humanoid.xml", contact_forces=True)
        self.physics = simulate(model, num_tasks, episodes_per_task)
        self.device, self.dtype, self.overlaps = self.physics.device, self.physics.dtype, self.physics.overlaps
        self.dt = SUBSTEPS * model.opt.timestep
        self.action_size = model.nu
        self._range = torch.from_numpy(model.actuator_ctrlrange[:, 1]).to(self.physics.ctrl, copy=True)
        self._directions = self.physics.qpos.new_zeros(num_tasks, 1, 2)
        names = ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")
        self._observed = [self.physics.field(name).flatten(2) for name in names]  # [M, E, ...] each
        self._forces = self._observed[-1]
        self._centers = self.physics.field("subtree_com")  # [M, E, 14, 3]
        self._center = self.physics.qpos.new_zeros(num_tasks, episodes_per_task, 2)  # m, of the whole body
        self.observation_size = model.nq - 2 + model.nv + sum(field.shape[2] for field in self._observed)

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return unit_circle(num_tasks, generator)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, self.task_shape)
        self._directions = tasks.to(self.device, self.dtype)[:, None]
        self.physics.reset()
        self._starts = StartStates(generator, self._draw_start)
        return self._start(self._starts.first)

    def restart(self, simulations: Tensor) -> Tensor:
        self.physics.restart(simulations)
        return self._start(self._starts.next(simulations, self._draw_start), simulations)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        controls = (ACTION_SCALE * actions).clamp(-1.0, 1.0) * self._range  # [M, E, A]
        self.physics.ctrl.copy_(controls)
        before = self._center
        self.physics.step(SUBSTEPS)
        self._center = self._centers[:, :, TORSO, :2].clone()
        velocity = (self._center - before) / self.dt  # [M, E, 2]
        impact = (CONTACT_COST * self._forces.square().sum(dim=-1)).clamp(max=MAX_CONTACT_COST)
        cost = CONTROL_COST * controls.square().sum(dim=-1) + impact
        reward = VELOCITY_REWARD * (velocity * self._directions).sum(dim=-1) + ALIVE - cost
        height = self.physics.qpos[:, :, 2]
        return self._observe(), reward, (height < MIN_HEIGHT) | (height > MAX_HEIGHT)

    def diverged(self) -> Tensor:
        return self.physics.diverged()

    def snapshot(self) -> Tensor:
        return torch.cat([self.physics.qpos, self.physics.qvel], dim=-1)

    def describe(self, task: Tensor) -> str:
        x, y = task.tolist()
        return f"towards ({x:.2f}, {y:.2f})"

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from envs.pictures.mujoco_renderer import MujocoRenderer  # not before someone wants pictures

        return MujocoRenderer(load_gymnasium_model("humanoid.xml"), width, height)

    def _draw_start(self, generator: KeyedGenerator) -> Tensor:
        """[M, E, nq + nv], what start states add to the nominal qpos and qvel."""
        states = (self.physics.qpos, self.physics.qvel)
        return torch.cat([generator.uniform(*state.shape, low=-RESET_SCALE, high=RESET_SCALE) for state in states], -1)

    def _start(self, shake: Tensor, simulations: Tensor | None = None) -> Tensor:
        qpos, qvel = shake.to(self.device).tensor_split([self.physics.model.nq], dim=-1)
        self.physics.qpos += qpos
        self.physics.qvel += qvel
        self.physics.forward(simulations)
        self._center = self._centers[:, :, TORSO, :2].clone()
        return self._observe()

    def _observe(self) -> Tensor:
        return torch.cat([self.physics.qpos[:, :, 2:], self.physics.qvel, *self._observed], dim=-1)


def humanoid_dir(
    num_tasks: int, episodes_per_task: int, variant: Literal["maml", "promp"] = "maml", simulate: Simulate = CpuPhysics
) -> HumanoidDir:
    """Walk in a direction, uniform on the unit circle: reward 0.25 d . v + 5 - costs; done when fallen.

    ProMP's, in both variants.
    """
    return HumanoidDir(num_tasks, episodes_per_task, simulate)
