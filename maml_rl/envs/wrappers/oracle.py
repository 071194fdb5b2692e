"""A family whose observations contain the task: the upper bound that adaptation is measured against."""

import torch
from torch import Tensor

from maml_rl.envs.family import Family
from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Simulation, Step


class OracleFamily:
    """Another family, with the task's parameters appended to every observation (Finn et al. 2017, section 5.3)."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self.task_shape, self.horizon, self.dt = family.task_shape, family.horizon, family.dt
        self.task_bound, self.task_parts = family.task_bound, family.task_parts
        self.observation_size = family.observation_size + torch.Size(family.task_shape).numel()
        self.action_size, self.action_bound, self.choices = family.action_size, family.action_bound, family.choices
        self.terminates, self.truncates = family.terminates, family.truncates

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return self._family.sample_tasks(num_tasks, generator)

    def describe(self, task: Tensor) -> str:
        return self._family.describe(task)

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        return self._family.make_renderer(task, width, height)

    def simulate(
        self, num_tasks: int, episodes_per_task: int, num_threads: int = 0, make_physics: MakePhysics | None = None
    ) -> "OracleSimulation":
        return OracleSimulation(self._family.simulate(num_tasks, episodes_per_task, num_threads, make_physics))


class OracleSimulation:
    """A simulation that tells the task."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.num_tasks, self.episodes_per_task = simulation.num_tasks, simulation.episodes_per_task
        self.device, self.dtype, self.overlaps = simulation.device, simulation.dtype, simulation.overlaps
        self._told = torch.empty(0)  # [M, E, size of a task]

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        observations = self._simulation.reset(tasks, generator)
        told = tasks.to(observations).flatten(1)[:, None]
        self._told = told.expand(-1, observations.shape[1], -1)
        return torch.cat([observations, self._told], dim=-1)

    def restart(self, simulations: Tensor) -> Tensor:
        return torch.cat([self._simulation.restart(simulations), self._told], dim=-1)

    def step(self, actions: Tensor) -> Step:
        step = self._simulation.step(actions)
        return step._replace(observations=torch.cat([step.observations, self._told], dim=-1))

    def diverged(self) -> Tensor:
        return self._simulation.diverged()

    def snapshot(self) -> Tensor:
        return self._simulation.snapshot()
