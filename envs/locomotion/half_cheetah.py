"""The planar half-cheetah that must run at a given speed, or in a given direction (Finn et al. 2017, section 5.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from envs.keyed_generator import KeyedGenerator
from envs.locomotion.planar_com import PlanarCom
from envs.physics.contract import Simulate
from envs.physics.cpu import CpuPhysics
from envs.physics.gymnasium_models import load_gymnasium_model
from envs.pictures.renderer import Renderer
from envs.start_states import StartStates
from envs.task_env import check_tasks

CONTROL_COST = 0.05  # reward per squared actuator unit; rllab's 0.1 * 0.5
TORSO = 1  # body id

Variant = Literal["maml", "promp"]


@dataclass(frozen=True)
class Protocol:
    """Where the published variants of the family differ."""

    horizon: int  # steps
    substeps: int  # physics steps of 0.01 s per action
    action_scale: float  # actuator units per unit of policy output
    center_of_mass: bool  # whether it is observed, and v is its velocity; otherwise v is that of the root joint
    uniform_reset: bool  # initial qpos from U(-scale, scale), or N(0, scale^2)
    reset_scale: float  # m, rad
    max_velocity: float  # m/s: target velocities are uniform in [0, max_velocity]


PROTOCOLS: dict[Variant, Protocol] = {
    # rllab's half-cheetah, as the MAML paper used it.
    "maml": Protocol(
        horizon=200,
        substeps=1,
        action_scale=1.0,
        center_of_mass=True,
        uniform_reset=False,
        reset_scale=0.01,
        max_velocity=2.0,
    ),
    # ProMP (Rothfuss et al. 2019): Gymnasium's half-cheetah, with a policy output of 10 for the full range.
    "promp": Protocol(
        horizon=100,
        substeps=5,
        action_scale=0.1,
        center_of_mass=False,
        uniform_reset=True,
        reset_scale=0.1,
        max_velocity=3.0,
    ),
}


class HalfCheetah:
    """The body, its observations, and its forward velocity v (m/s) over a whole step; the goals are handed in.

    Observations: qpos without x [8] (m, rad), qvel [9] (m/s, rad/s) and, in the "maml" variant, the torso's subtree
    centre of mass [3] (m). Actions: torques [6] in units of the actuators' range, clipped to +-1. Never terminates.
    Tasks are goals [M, 1]. The reward of a step is running_reward(v, goal) - 0.05 |a|^2, a the clipped action.
    """

    action_size = 6
    task_shape: tuple[int, ...] = (1,)
    discrete = False
    terminates = False

    def __init__(
        self,
        num_tasks: int,
        episodes_per_task: int,
        protocol: Protocol,
        sample_goals: Callable[[int, KeyedGenerator], Tensor],
        running_reward: Callable[[Tensor, Tensor], Tensor],
        describe_goal: Callable[[float], str],
        simulate: Simulate = CpuPhysics,
    ) -> None:
        self.num_tasks = num_tasks
        self.episodes_per_task = episodes_per_task
        self.horizon = protocol.horizon
        self.action_bound = 1 / protocol.action_scale
        self.physics = simulate(load_gymnasium_model("half_cheetah.xml"), num_tasks, episodes_per_task)
        self.device, self.dtype, self.overlaps = self.physics.device, self.physics.dtype, self.physics.overlaps
        self.dt = protocol.substeps * self.physics.model.opt.timestep
        self.observation_size = 20 if protocol.center_of_mass else 17
        self._protocol = protocol
        self._sample_goals = sample_goals
        self._running_reward = running_reward
        self._describe_goal = describe_goal
        self._goals = self.physics.qpos.new_zeros(num_tasks, 1)
        self._center_of_mass = PlanarCom(self.physics.model, TORSO, self.physics.qpos)
        self._x = self.physics.qpos.new_zeros(num_tasks, episodes_per_task)  # m, of which v is the change
        self._never = self._x > 0  # terminated [M, E]

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return self._sample_goals(num_tasks, generator)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, self.task_shape)
        self._goals = tasks.to(self.device, self.dtype)
        self.physics.reset()
        self._starts = StartStates(generator, self._draw_start)
        return self._start(self._starts.first)

    def restart(self, simulations: Tensor) -> Tensor:
        self.physics.restart(simulations)
        return self._start(self._starts.next(simulations, self._draw_start))

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        actions = (self._protocol.action_scale * actions).clamp(-1.0, 1.0)  # [M, E, A]; every ctrlrange is +-1
        self.physics.ctrl.copy_(actions)
        x_before = self._x
        self.physics.step(self._protocol.substeps)
        observations, self._x = self._observe()
        velocity = (self._x - x_before) / self.dt  # [M, E]
        cost = CONTROL_COST * actions.square().sum(dim=-1)
        reward = self._running_reward(velocity, self._goals) - cost
        return observations, reward, self._never

    def diverged(self) -> Tensor:
        return self.physics.diverged()

    def snapshot(self) -> Tensor:
        return torch.cat([self.physics.qpos, self.physics.qvel], dim=-1)

    def describe(self, task: Tensor) -> str:
        return self._describe_goal(task.item())

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from envs.pictures.mujoco_renderer import MujocoRenderer  # not before someone wants pictures

        return MujocoRenderer(load_gymnasium_model("half_cheetah.xml"), width, height)

    def _draw_start(self, generator: KeyedGenerator) -> Tensor:
        """[M, E, nq + nv], what start states add to the nominal qpos and qvel."""
        scale, shape = self._protocol.reset_scale, self.physics.qpos.shape
        uniform = self._protocol.uniform_reset
        qpos = generator.uniform(*shape, low=-scale, high=scale) if uniform else scale * generator.normal(*shape)
        return torch.cat([qpos, 0.1 * generator.normal(*self.physics.qvel.shape)], dim=-1)  # m/s, rad/s in both

    def _start(self, shake: Tensor) -> Tensor:
        qpos, qvel = shake.to(self.device).tensor_split([self.physics.model.nq], dim=-1)
        self.physics.qpos += qpos
        self.physics.qvel += qvel
        observations, self._x = self._observe()
        return observations

    def _observe(self) -> tuple[Tensor, Tensor]:
        """Observations [M, E, O], and the x [M, E] that the forward velocity refers to."""
        qpos, qvel = self.physics.qpos, self.physics.qvel
        if not self._protocol.center_of_mass:
            return torch.cat([qpos[:, :, 1:], qvel], dim=-1), qpos[:, :, 0].clone()
        com = self._center_of_mass(qpos)
        return torch.cat([qpos[:, :, 1:], qvel, com], dim=-1), com[:, :, 0]


def half_cheetah_vel(
    num_tasks: int, episodes_per_task: int, variant: Variant = "maml", simulate: Simulate = CpuPhysics
) -> HalfCheetah:
    """Run at a target speed g (m/s), uniform in [0, 2] ("promp": [0, 3]): reward -|v - g| - 0.05 |a|^2."""
    protocol = PROTOCOLS[variant]

    def sample_goals(num_goals: int, generator: KeyedGenerator) -> Tensor:
        return generator.uniform(num_goals, 1, high=protocol.max_velocity)

    def running_reward(velocity: Tensor, goals: Tensor) -> Tensor:
        return -(velocity - goals).abs()

    def describe_goal(goal: float) -> str:
        return f"{goal:.2f} m/s"

    return HalfCheetah(num_tasks, episodes_per_task, protocol, sample_goals, running_reward, describe_goal, simulate)


def half_cheetah_dir(
    num_tasks: int, episodes_per_task: int, variant: Variant = "maml", simulate: Simulate = CpuPhysics
) -> HalfCheetah:
    """Run forward (g = 1) or backward (g = -1), with equal chances: reward g v - 0.05 |a|^2."""

    def sample_goals(num_goals: int, generator: KeyedGenerator) -> Tensor:
        forward = generator.uniform(num_goals, 1) < 0.5
        return torch.where(forward, 1.0, -1.0).to(torch.float64)

    def running_reward(velocity: Tensor, goals: Tensor) -> Tensor:
        return goals * velocity

    def describe_goal(goal: float) -> str:
        return "forward" if goal > 0 else "backward"

    protocol = PROTOCOLS[variant]
    return HalfCheetah(num_tasks, episodes_per_task, protocol, sample_goals, running_reward, describe_goal, simulate)
