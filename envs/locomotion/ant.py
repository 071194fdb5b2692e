"""The four-legged ant that must run at a given speed, in a given direction, or to a given place.

Finn et al. 2017, section 5.3; Rothfuss et al. 2019 (ProMP).
"""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Literal, NamedTuple

import mujoco
import torch
from torch import Tensor

from envs.keyed_generator import KeyedGenerator
from envs.locomotion.legged_com import LeggedCom, rotation_matrix
from envs.physics.contract import Simulate
from envs.physics.cpu import CpuPhysics
from envs.physics.gymnasium_models import load_gymnasium_model
from envs.pictures.renderer import Renderer
from envs.start_states import StartStates
from envs.task_env import check_tasks

TORSO = 1  # body id
MIN_HEIGHT, MAX_HEIGHT = 0.2, 1.0  # m, of the torso: outside the ant has fallen, or leapt
MAX_SPEED = 3.0  # m/s: target speeds are uniform in [0, MAX_SPEED]
MAX_DISTANCE = 3.0  # m: goals are uniform in a disc of this radius
CONTACT_COST = 0.0005  # reward per squared unit of the external forces on the bodies

Variant = Literal["maml", "promp"]


@dataclass(frozen=True)
class Protocol:
    """Where the published variants of the family differ."""

    substeps: int  # physics steps per action
    time_step: float  # s, of the physics
    solimp: tuple[float, float, float] | None  # impedance of contacts; None for the model's own
    action_scale: float  # actuator units per unit of policy output
    pose: bool  # whether x, y, the torso's rotation and the centre of mass are observed; v is then that of the latter
    uniform_reset: bool  # initial qpos from U(-scale, scale), or N(0, scale^2)
    reset_scale: float  # m, rad
    author_start: bool  # whether episodes start in the pose that the model's author gave, or in the model's default


PROTOCOLS: dict[Variant, Protocol] = {
    # rllab's ant, as the MAML paper used it.
    "maml": Protocol(
        substeps=1,
        time_step=0.02,
        solimp=(0.8, 0.8, 0.01),
        action_scale=1.0,
        pose=True,
        uniform_reset=False,
        reset_scale=0.01,
        author_start=True,
    ),
    # ProMP: Gymnasium's ant, with a policy output of 10 for the full range.
    "promp": Protocol(
        substeps=5,
        time_step=0.01,
        solimp=None,
        action_scale=0.1,
        pose=False,
        uniform_reset=True,
        reset_scale=0.1,
        author_start=False,
    ),
}


class Motion(NamedTuple):
    """What a step's reward sees of the body."""

    velocity: Tensor  # [M, E, 2], m/s along x and y over the whole step
    position: Tensor  # [M, E, 2], m


@dataclass(frozen=True)
class Goal:
    """What a family of tasks asks of the ant."""

    task_size: int
    sample: Callable[[int, KeyedGenerator], Tensor]  # tasks [M, task_size]
    reward: Callable[[Motion, Tensor], Tensor]  # of tasks [M, 1, task_size]; without the costs
    describe: Callable[[list[float]], str]
    control_cost: float  # reward per squared action, relative to its range
    clips_contact_cost: bool  # whether forces count up to 1 only
    falls: bool  # whether an episode ends with the height outside of its bounds


class Ant:
    """The body and its costs; what it must do is handed in.

    Observations: qpos [15] without x and y (m, rad, a quaternion), qvel [14] (m/s, rad/s), and the external forces on
    each body [84] (N m, N), clipped to +-1; the "maml" variant observes x and y too, and the torso's rotation matrix
    [9] and the centre of mass [3] (m). Actions: torques [8] relative to their range, clipped to +-1. The reward of a
    step is goal.reward - goal.control_cost |a|^2 - 0.0005 |forces|^2.

    The forces are those at the start of the last substep, a time step of the physics before the state. In the "promp"
    variant v is of the torso, whose place is that of the last stage of MuJoCo's Runge-Kutta step, as in Gymnasium's
    environment.
    """

    action_size = 8
    horizon = 200
    discrete = False

    def __init__(
        self, num_tasks: int, episodes_per_task: int, protocol: Protocol, goal: Goal, simulate: Simulate = CpuPhysics
    ) -> None:
        self.num_tasks = num_tasks
        self.episodes_per_task = episodes_per_task
        self.action_bound = 1 / protocol.action_scale
        self.terminates = goal.falls
        self.task_shape: tuple[int, ...] = (goal.task_size,)
        model = _load_model(protocol)
        self.physics = simulate(model, num_tasks, episodes_per_task)
        self.device, self.dtype, self.overlaps = self.physics.device, self.physics.dtype, self.physics.overlaps
        self.dt = protocol.substeps * model.opt.timestep
        self._protocol = protocol
        self._goal = goal
        self._tasks = self.physics.qpos.new_zeros(num_tasks, 1, goal.task_size)
        self._forces = self.physics.field("cfrc_ext")  # [M, E, 14, 6]
        self._torsos = self.physics.field("xpos")  # [M, E, 14, 3]
        self._center_of_mass = LeggedCom(model, TORSO, self.physics.qpos) if protocol.pose else None
        self._place = self.physics.qpos.new_zeros(num_tasks, episodes_per_task, 2)  # m, of which v is the change
        self._never = self._place[:, :, 0] > 0  # terminated [M, E]
        # The model's default pose has its ankles outside of their limits, which throw the ant into the air.
        pose = model.numeric("init_qpos").data if protocol.author_start else model.qpos0
        self._pose = torch.from_numpy(pose - model.qpos0).to(self.physics.qpos)  # [nq], over the default
        self.observation_size = model.nq + model.nv + 6 * model.nbody + (12 if protocol.pose else -2)

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return self._goal.sample(num_tasks, generator)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, self.task_shape)
        self._tasks = tasks.to(self.device, self.dtype)[:, None]
        self.physics.reset()
        self._starts = StartStates(generator, self._draw_start)
        return self._start(self._starts.first, ~self._never)

    def restart(self, simulations: Tensor) -> Tensor:
        self.physics.restart(simulations)
        return self._start(self._starts.next(simulations, self._draw_start), simulations)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        actions = (self._protocol.action_scale * actions).clamp(-1.0, 1.0)  # [M, E, A]; every ctrlrange is +-1
        self.physics.ctrl.copy_(actions)
        before = self._place
        self.physics.step(self._protocol.substeps)
        observations, self._place = self._observe()
        reward = self._goal.reward(Motion((self._place - before) / self.dt, self._place), self._tasks)
        reward = reward - self._goal.control_cost * actions.square().sum(dim=-1) - self._contact_cost()
        if not self._goal.falls:
            return observations, reward, self._never
        height = self.physics.qpos[:, :, 2]
        return observations, reward, (height < MIN_HEIGHT) | (height > MAX_HEIGHT)

    def diverged(self) -> Tensor:
        return self.physics.diverged()

    def snapshot(self) -> Tensor:
        return torch.cat([self.physics.qpos, self.physics.qvel], dim=-1)

    def describe(self, task: Tensor) -> str:
        return self._goal.describe(task.tolist())

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from envs.pictures.mujoco_renderer import MujocoRenderer  # not before someone wants pictures

        return MujocoRenderer(load_gymnasium_model("ant.xml"), width, height)

    def _draw_start(self, generator: KeyedGenerator) -> Tensor:
        """[M, E, nq + nv], what start states add to the pose and to velocities of zero."""
        scale, shape = self._protocol.reset_scale, self.physics.qpos.shape
        uniform = self._protocol.uniform_reset
        qpos = generator.uniform(*shape, low=-scale, high=scale) if uniform else scale * generator.normal(*shape)
        return torch.cat([qpos, 0.1 * generator.normal(*self.physics.qvel.shape)], dim=-1)  # m/s, rad/s in both

    def _start(self, shake: Tensor, simulations: Tensor) -> Tensor:
        qpos, qvel = shake.to(self.device).tensor_split([self.physics.model.nq], dim=-1)
        self.physics.qpos += qpos + self._pose.where(simulations[..., None], 0.0)
        self.physics.qvel += qvel
        self.physics.forward(simulations)
        observations, self._place = self._observe()
        return observations

    def _contact_cost(self) -> Tensor:
        """[M, E]."""
        forces = self._forces.flatten(2)
        if self._goal.clips_contact_cost:
            forces = forces.clamp(-1.0, 1.0)
        return CONTACT_COST * forces.square().sum(dim=-1)

    def _observe(self) -> tuple[Tensor, Tensor]:
        """Observations [M, E, O], and a copy of the place [M, E, 2] (m) whose change is the velocity."""
        qpos, qvel, forces = self.physics.qpos, self.physics.qvel, self._forces.flatten(2).clamp(-1.0, 1.0)
        if self._center_of_mass is None:
            return torch.cat([qpos[:, :, 2:], qvel, forces], dim=-1), self._torsos[:, :, TORSO, :2].clone()
        rotation = rotation_matrix(qpos[:, :, 3:7])
        center = self._center_of_mass(qpos, rotation)
        return torch.cat([qpos, qvel, forces, rotation.flatten(2), center], dim=-1), center[:, :, :2]


def _load_model(protocol: Protocol) -> mujoco.MjModel:
    model = load_gymnasium_model("ant.xml", contact_forces=True)
    model.opt.timestep = protocol.time_step
    if protocol.solimp is not None:
        model.geom_solimp[:, :3] = protocol.solimp
    return model


def ant_vel(num_tasks: int, episodes_per_task: int, variant: Variant = "maml", simulate: Simulate = CpuPhysics) -> Ant:
    """Run at a target speed g (m/s), uniform in [0, 3]: reward 1 - |v - g| + 0.05 - costs; done when fallen."""
    goal = Goal(
        task_size=1,
        sample=lambda num_tasks, generator: generator.uniform(num_tasks, 1, high=MAX_SPEED),
        reward=lambda motion, goals: 1.05 - (motion.velocity[..., 0] - goals[..., 0]).abs(),
        describe=lambda goal: f"{goal[0]:.2f} m/s",
        control_cost=0.005,
        clips_contact_cost=True,
        falls=True,
    )
    return Ant(num_tasks, episodes_per_task, PROTOCOLS[variant], goal, simulate)


def ant_dir(num_tasks: int, episodes_per_task: int, variant: Variant = "maml", simulate: Simulate = CpuPhysics) -> Ant:
    """Run forward (g = 1) or backward (g = -1): reward g v + 0.05 - costs; done when fallen.

    In ProMP's version g is a vector, uniform on the unit circle, the reward for not having fallen is 1, and the control
    cost is 0.5 |a|^2.
    """
    if variant == "promp":
        goal = Goal(
            task_size=2,
            sample=unit_circle,
            reward=lambda motion, goals: (motion.velocity * goals).sum(dim=-1) + 1.0,
            describe=lambda goal: f"towards ({goal[0]:.2f}, {goal[1]:.2f})",
            control_cost=0.5,
            clips_contact_cost=True,
            falls=True,
        )
    else:
        goal = Goal(
            task_size=1,
            sample=lambda num_tasks, generator: torch.where(generator.uniform(num_tasks, 1) < 0.5, 1.0, -1.0).double(),
            reward=lambda motion, goals: goals[..., 0] * motion.velocity[..., 0] + 0.05,
            describe=lambda goal: "forward" if goal[0] > 0 else "backward",
            control_cost=0.005,
            clips_contact_cost=True,
            falls=True,
        )
    return Ant(num_tasks, episodes_per_task, PROTOCOLS[variant], goal, simulate)


def ant_goal(num_tasks: int, episodes_per_task: int, variant: Variant = "maml", simulate: Simulate = CpuPhysics) -> Ant:
    """Run to a place g (m), uniform in a disc of radius 3: reward -|x - g|_1 - 0.1 |a|^2 - contact cost; never done."""

    def sample(num_tasks: int, generator: KeyedGenerator) -> Tensor:
        radius, direction = generator.uniform(num_tasks, 1), unit_circle(num_tasks, generator)
        return MAX_DISTANCE * radius.sqrt() * direction

    goal = Goal(
        task_size=2,
        sample=sample,
        reward=lambda motion, goals: -(motion.position - goals).abs().sum(dim=-1),
        describe=lambda goal: f"({goal[0]:.2f}, {goal[1]:.2f}) m",
        control_cost=0.1,
        clips_contact_cost=False,
        falls=False,
    )
    return Ant(num_tasks, episodes_per_task, PROTOCOLS[variant], goal, simulate)


def unit_circle(num_tasks: int, generator: KeyedGenerator) -> Tensor:
    """Uniform directions [num_tasks, 2]."""
    angle = generator.uniform(num_tasks, 1, high=2 * pi)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
