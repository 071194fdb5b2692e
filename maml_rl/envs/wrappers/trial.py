"""A family whose observations tell the step before: the inputs of a policy that learns within a trial."""

import torch
from torch import Tensor

from maml_rl.envs.family import Family
from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Simulation, Step


class TrialFamily:
    """Another family, with the step before appended to every observation (Duan et al. 2016, "RL^2", section 2.2).

    [o, a, r, d]: the action [A] as `step` took it, one-hot if it is discrete; the reward; 1 if the episode ended. The
    episode's first observation has zeros there: nothing was before. After a restart the step before is the last one of
    the episode before, and d = 1.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self.task_shape, self.horizon, self.dt = family.task_shape, family.horizon, family.dt
        self.task_bound, self.task_parts = family.task_bound, family.task_parts
        self.observation_size = family.observation_size + tail_size(family.action_size)
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
    ) -> "TrialSimulation":
        simulation = self._family.simulate(num_tasks, episodes_per_task, num_threads, make_physics)
        return TrialSimulation(simulation, self.action_size)


class TrialSimulation:
    """A simulation that tells the step before."""

    def __init__(self, simulation: Simulation, action_size: int) -> None:
        self._simulation = simulation
        self.num_tasks, self.episodes_per_task = simulation.num_tasks, simulation.episodes_per_task
        self.device, self.dtype, self.overlaps = simulation.device, simulation.dtype, simulation.overlaps
        shape = (self.num_tasks, self.episodes_per_task, tail_size(action_size))
        self._tail = torch.zeros(shape, dtype=self.dtype, device=self.device)  # [M, E, A + 2]

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        observations = self._simulation.reset(tasks, generator)
        self._tail = torch.zeros_like(self._tail)
        return torch.cat([observations, self._tail], dim=-1)

    def restart(self, simulations: Tensor) -> Tensor:
        observations = self._simulation.restart(simulations)
        self._tail = ended_tail(self._tail).where(simulations[..., None], self._tail)
        return torch.cat([observations, self._tail], dim=-1)

    def step(self, actions: Tensor) -> Step:
        step = self._simulation.step(actions)
        rewards = step.rewards[..., None]
        self._tail = torch.cat([actions, rewards, torch.zeros_like(rewards)], dim=-1)
        return step._replace(observations=torch.cat([step.observations, self._tail], dim=-1))

    def diverged(self) -> Tensor:
        return self._simulation.diverged()

    def snapshot(self) -> Tensor:
        return self._simulation.snapshot()


def tail_size(action_size: int) -> int:
    """Numbers that a trial appends to an observation."""
    return action_size + 2


def ended_tail(tail: Tensor) -> Tensor:
    """The tail [..., A + 2] of the next episode's first observation, of that after an episode's last step: d = 1."""
    return torch.cat([tail[..., :-1], torch.ones_like(tail[..., -1:])], dim=-1)
