"""A family of MuJoCo's: a body times a goal."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import mujoco
import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.locomotion.goals import Goal, Motion
from maml_rl.envs.locomotion.random_model import RandomModel
from maml_rl.envs.physics.contract import MakePhysics, Physics
from maml_rl.envs.physics.cpu import CpuPhysics
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Step, check_tasks
from maml_rl.envs.start_states import StartStates


@dataclass(frozen=True)
class Start:
    """The random part of start states, added to the body's pose: draws of U(-scale, scale), or of N(0, scale^2)."""

    uniform_qpos: bool
    qpos: float  # m, rad
    uniform_qvel: bool
    qvel: float  # m/s, rad/s

    def draw(self, physics: Physics, generator: KeyedGenerator) -> Tensor:
        """[M, E, nq + nv]."""
        parts = (
            (physics.qpos, self.uniform_qpos, self.qpos),
            (physics.qvel, self.uniform_qvel, self.qvel),
        )
        return torch.cat(
            [
                generator.uniform(*state.shape, low=-scale, high=scale)
                if uniform
                else scale * generator.normal(*state.shape)
                for state, uniform, scale in parts
            ],
            dim=-1,
        )


class Senses(Protocol):
    """A body in its simulations: its observations, its costs, and whether it has fallen."""

    def observe(self) -> tuple[Tensor, Tensor]:
        """Observations [M, E, O], and a copy of the place [M, E, D] (m) whose change is the velocity."""
        ...

    def costs(self, controls: Tensor) -> Sequence[Tensor]:
        """The costs of a step, of the controls [M, E, A] in actuator units: each [M, E]."""
        ...

    def fallen(self) -> Tensor | None:
        """[M, E] bool; None if the body never ends an episode."""
        ...


class Body(Protocol):
    """A model, its drive and its start. Actions are clipped to +-1 after scaling."""

    @property
    def file_name(self) -> str:
        """Of Gymnasium's model."""
        ...

    @property
    def model(self) -> mujoco.MjModel:
        """Gymnasium's, with the changes that the family makes."""
        ...

    @property
    def observation_size(self) -> int: ...
    @property
    def action_scale(self) -> float:
        """Actuators' range per unit of policy output."""
        ...

    @property
    def substeps(self) -> int:
        """Physics steps per action."""
        ...

    @property
    def start(self) -> Start: ...
    @property
    def falls(self) -> bool: ...
    @property
    def derived(self) -> bool:
        """Whether observations read fields that MuJoCo has to compute anew in a start state."""
        ...

    def pose(self) -> Tensor | None:
        """[nq], the start pose minus the model's default; None if they are the same."""
        ...

    def in_simulations(self, physics: Physics) -> Senses: ...


class MujocoFamily:
    """A body that is to reach a goal, or one body for each task that is to reach the same."""

    choices: tuple[int, ...] = ()
    truncates = False
    task_parts: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __init__(self, body: Body, goal: Goal, horizon: int = 200, random_model: RandomModel | None = None) -> None:
        """random_model: gives each task of the goal a body of its own."""
        self.body, self.goal, self.random_model, self.horizon = body, goal, random_model, horizon
        self.observation_size, self.action_size = body.observation_size, body.model.nu
        self.action_bound = 1 / body.action_scale
        self.task_shape: tuple[int, ...] = (goal.task_size,)
        self.task_bound = goal.task_bound
        self.dt = body.substeps * body.model.opt.timestep
        self.terminates = body.falls

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return self.goal.sample(num_tasks, generator)

    def describe(self, task: Tensor) -> str:
        return self.random_model.describe(task) if self.random_model else self.goal.describe(task.tolist())

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from maml_rl.envs.pictures.mujoco_renderer import MujocoRenderer  # not before someone wants pictures

        return MujocoRenderer((self.random_model or self).single(task), width, height)

    def single(self, task: Tensor) -> mujoco.MjModel:
        """A model for one task, to be drawn: Gymnasium's own."""
        return load_gymnasium_model(self.body.file_name)

    def simulate(
        self, num_tasks: int, episodes_per_task: int, num_threads: int = 0, make_physics: MakePhysics | None = None
    ) -> "MujocoSimulation":
        make_physics = make_physics or partial(CpuPhysics, num_threads=num_threads)
        return MujocoSimulation(self, make_physics(self.body.model, num_tasks, episodes_per_task))


class MujocoSimulation:
    """Many bodies of a family at once."""

    def __init__(self, family: MujocoFamily, physics: Physics) -> None:
        self.family, self.physics = family, physics
        self.num_tasks, self.episodes_per_task = physics.qpos.shape[:2]
        self.device, self.dtype, self.overlaps = physics.device, physics.dtype, physics.overlaps
        self._senses = family.body.in_simulations(physics)
        self._tasks = physics.qpos.new_zeros(self.num_tasks, 1, *family.task_shape)
        self._place = physics.qpos.new_zeros(self.num_tasks, self.episodes_per_task, 1)  # m, of which v is the change
        self._never = self._place[..., 0] > 0  # [M, E]
        pose = family.body.pose()
        self._pose = None if pose is None else pose.to(physics.qpos)
        self._range = torch.from_numpy(family.body.model.actuator_ctrlrange[:, 1]).to(physics.ctrl, copy=True)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, self.family.task_shape)
        self._tasks = tasks.to(self.device, self.dtype)[:, None]
        if self.family.random_model:
            self.family.random_model.apply(self.physics, tasks)
        self.physics.reset()
        self._starts = StartStates(generator, self._draw_start)
        return self._start(self._starts.first, ~self._never)

    def restart(self, simulations: Tensor) -> Tensor:
        self.physics.restart(simulations)
        return self._start(self._starts.next(simulations, self._draw_start), simulations)

    def step(self, actions: Tensor) -> Step:
        body = self.family.body
        controls = (body.action_scale * actions).clamp(-1.0, 1.0) * self._range  # [M, E, A]
        self.physics.ctrl.copy_(controls)
        before = self._place
        self.physics.step(body.substeps)
        observations, self._place = self._senses.observe()
        rewards = self.family.goal.reward(Motion((self._place - before) / self.family.dt, self._place), self._tasks)
        for cost in self._senses.costs(controls):
            rewards = rewards - cost
        fallen = self._senses.fallen()
        return Step(observations, rewards, self._never if fallen is None else fallen, self._never)

    def diverged(self) -> Tensor:
        return self.physics.diverged()

    def snapshot(self) -> Tensor:
        return torch.cat([self.physics.qpos, self.physics.qvel], dim=-1)

    def _draw_start(self, generator: KeyedGenerator) -> Tensor:
        return self.family.body.start.draw(self.physics, generator)

    def _start(self, shake: Tensor, simulations: Tensor) -> Tensor:
        """shake: [M, E, nq + nv], zero for simulations [M, E] bool that go on."""
        qpos, qvel = shake.to(self.device).tensor_split([self.physics.model.nq], dim=-1)
        self.physics.qpos += qpos if self._pose is None else qpos + self._pose.where(simulations[..., None], 0.0)
        self.physics.qvel += qvel
        if self.family.body.derived:
            self.physics.forward(simulations)
        observations, self._place = self._senses.observe()
        return observations
