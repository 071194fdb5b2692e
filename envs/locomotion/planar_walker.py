"""Planar walkers that fall: direction tasks and bodies with random parameters (ProMP, Rothfuss et al. 2019)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Literal

import torch
from torch import Tensor

from envs.keyed_generator import KeyedGenerator
from envs.locomotion.random_model import RandomModel
from envs.physics.contract import Simulate
from envs.physics.cpu import CpuPhysics
from envs.physics.gymnasium_models import load_gymnasium_model
from envs.pictures.renderer import Renderer
from envs.start_states import StartStates
from envs.task_env import check_tasks

CONTROL_COST = 0.001  # reward per squared actuator unit
ALIVE = 1.0  # reward of each step
ACTION_SCALE = 0.1  # actuator units per unit of policy output
SUBSTEPS = 4  # physics steps of 0.002 s per action
RESET_SCALE = 0.005  # m, rad, m/s, rad/s: initial qpos and qvel are the nominal ones + U(-scale, scale)
MAX_VELOCITY = 10.0  # m/s, rad/s: observed velocities are clipped to it


@dataclass(frozen=True)
class Body:
    """One of Gymnasium's models, and when it has fallen."""

    model: str
    min_height: float  # m, of the root
    max_height: float
    max_angle: float  # rad, of the root
    max_state: float  # of any element of the state but the root's x and z


WALKER = Body("walker2d_v5.xml", min_height=0.8, max_height=2.0, max_angle=1.0, max_state=inf)
HOPPER = Body("hopper.xml", min_height=0.7, max_height=inf, max_angle=0.2, max_state=100.0)


class PlanarWalker:
    """A body that must not fall. The reward of a step is running_reward(v, task) + 1 - 0.001 |a|^2.

    v is the velocity of the root (m/s) over a whole step of 0.008 s, a the action times 0.1, clipped to +-1.
    Observations: qpos without x (m, rad) and qvel, clipped to +-10 (m/s, rad/s), as in Gymnasium's v5.
    """

    horizon = 200
    action_bound = 1 / ACTION_SCALE
    discrete = False
    terminates = True

    def __init__(
        self,
        num_tasks: int,
        episodes_per_task: int,
        body: Body,
        running_reward: Callable[[Tensor, Tensor], Tensor],
        randomised: bool,
        simulate: Simulate = CpuPhysics,
    ) -> None:
        """randomised: whether tasks are bodies (`envs.locomotion.random_model`), or directions [1]."""
        self.num_tasks = num_tasks
        self.episodes_per_task = episodes_per_task
        model = load_gymnasium_model(body.model)
        self.physics = simulate(model, num_tasks, episodes_per_task)
        self.device, self.dtype, self.overlaps = self.physics.device, self.physics.dtype, self.physics.overlaps
        self.dt = SUBSTEPS * model.opt.timestep
        self.observation_size = model.nq - 1 + model.nv
        self.action_size = model.nu
        self.random_model = RandomModel(model) if randomised else None
        self.task_shape: tuple[int, ...] = self.random_model.task_shape if self.random_model else (1,)
        self._body = body
        self._running_reward = running_reward
        self._tasks = self.physics.qpos.new_zeros(num_tasks, *self.task_shape)

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        if self.random_model:
            return self.random_model.sample(num_tasks, generator)
        return torch.where(generator.uniform(num_tasks, 1) < 0.5, 1.0, -1.0).to(torch.float64)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, self.task_shape)
        self._tasks = tasks.to(self.device, self.dtype)
        if self.random_model:
            self.random_model.apply(self.physics, tasks)
        self.physics.reset()
        self._starts = StartStates(generator, self._draw_start)
        return self._start(self._starts.first)

    def restart(self, simulations: Tensor) -> Tensor:
        self.physics.restart(simulations)
        return self._start(self._starts.next(simulations, self._draw_start))

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        actions = (ACTION_SCALE * actions).clamp(-1.0, 1.0)  # [M, E, A]; every ctrlrange is +-1
        self.physics.ctrl.copy_(actions)
        x_before = self.physics.qpos[:, :, 0].clone()
        self.physics.step(SUBSTEPS)
        velocity = (self.physics.qpos[:, :, 0] - x_before) / self.dt  # [M, E]
        cost = CONTROL_COST * actions.square().sum(dim=-1)
        return self._observe(), self._running_reward(velocity, self._tasks) + ALIVE - cost, self._fallen()

    def diverged(self) -> Tensor:
        return self.physics.diverged()

    def snapshot(self) -> Tensor:
        return torch.cat([self.physics.qpos, self.physics.qvel], dim=-1)

    def describe(self, task: Tensor) -> str:
        if self.random_model:
            mass = self.random_model.fields(task[None])["body_mass"].sum()
            return f"a body of {mass:.2f} kg"
        return "forward" if task.item() > 0 else "backward"

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from envs.pictures.mujoco_renderer import MujocoRenderer  # not before someone wants pictures

        model = self.random_model.single(task) if self.random_model else load_gymnasium_model(self._body.model)
        return MujocoRenderer(model, width, height)

    def _draw_start(self, generator: KeyedGenerator) -> Tensor:
        """[M, E, nq + nv], what start states add to the nominal qpos and qvel."""
        states = (self.physics.qpos, self.physics.qvel)
        return torch.cat([generator.uniform(*state.shape, low=-RESET_SCALE, high=RESET_SCALE) for state in states], -1)

    def _start(self, shake: Tensor) -> Tensor:
        qpos, qvel = shake.to(self.device).tensor_split([self.physics.model.nq], dim=-1)
        self.physics.qpos += qpos
        self.physics.qvel += qvel
        return self._observe()

    def _observe(self) -> Tensor:
        qvel = self.physics.qvel.clamp(-MAX_VELOCITY, MAX_VELOCITY)
        return torch.cat([self.physics.qpos[:, :, 1:], qvel], dim=-1)

    def _fallen(self) -> Tensor:
        """[M, E] bool."""
        height, angle = self.physics.qpos[:, :, 1], self.physics.qpos[:, :, 2]
        stands = (height > self._body.min_height) & (height < self._body.max_height)
        stands &= angle.abs() < self._body.max_angle
        if self._body.max_state < inf:
            stands &= (self.physics.qpos[:, :, 2:].abs() < self._body.max_state).all(dim=-1)
            stands &= (self.physics.qvel.abs() < self._body.max_state).all(dim=-1)
        return ~stands


def walker_dir(
    num_tasks: int, episodes_per_task: int, variant: Literal["maml", "promp"] = "maml", simulate: Simulate = CpuPhysics
) -> PlanarWalker:
    """Walk forward (g = 1) or backward (g = -1), with equal chances: reward g v + 1 - 0.001 |a|^2; done when fallen.

    ProMP's, in both variants.
    """
    return PlanarWalker(num_tasks, episodes_per_task, WALKER, lambda v, goals: goals * v, False, simulate)


def walker_rand_params(
    num_tasks: int, episodes_per_task: int, variant: Literal["maml", "promp"] = "maml", simulate: Simulate = CpuPhysics
) -> PlanarWalker:
    """Walk with a body of random mass, inertia, friction and damping: reward v + 1 - 0.001 |a|^2; done when fallen.

    ProMP's, in both variants.
    """
    return PlanarWalker(num_tasks, episodes_per_task, WALKER, lambda v, tasks: v, True, simulate)


def hopper_rand_params(
    num_tasks: int, episodes_per_task: int, variant: Literal["maml", "promp"] = "maml", simulate: Simulate = CpuPhysics
) -> PlanarWalker:
    """Hop with a body of random mass, inertia, friction and damping: reward v + 1 - 0.001 |a|^2; done when fallen.

    ProMP's, in both variants.
    """
    return PlanarWalker(num_tasks, episodes_per_task, HOPPER, lambda v, tasks: v, True, simulate)
