"""A family whose observations say what the task is: the upper bound that adaptation is measured against."""

import torch
from torch import Tensor

from envs.keyed_generator import KeyedGenerator
from envs.pictures.renderer import Renderer
from envs.task_env import SelfLimiting, TaskEnv


class OracleEnv:
    """Another family, with the task's parameters appended to every observation (Finn et al. 2017, section 5.3)."""

    def __init__(self, env: TaskEnv) -> None:
        self._env = env
        self.num_tasks, self.episodes_per_task = env.num_tasks, env.episodes_per_task
        self.task_shape = env.task_shape
        self.observation_size = env.observation_size + torch.Size(env.task_shape).numel()
        self.action_size, self.action_bound, self.discrete = env.action_size, env.action_bound, env.discrete
        self.horizon, self.dt, self.terminates = env.horizon, env.dt, env.terminates
        self.device, self.dtype, self.overlaps = env.device, env.dtype, env.overlaps
        self._told = torch.empty(0)  # [M, E, size of a task]
        self._nothing = torch.full((env.num_tasks, env.episodes_per_task), torch.nan, device=env.device)

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return self._env.sample_tasks(num_tasks, generator)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        observations = self._env.reset(tasks, generator)
        told = tasks.to(observations).flatten(1)[:, None]
        self._told = told.expand(-1, observations.shape[1], -1)
        return torch.cat([observations, self._told], dim=-1)

    def restart(self, simulations: Tensor) -> Tensor:
        return torch.cat([self._env.restart(simulations), self._told], dim=-1)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        observations, reward, ended = self._env.step(actions)
        return torch.cat([observations, self._told], dim=-1), reward, ended

    def truncated(self) -> Tensor:
        return self._env.truncated() if isinstance(self._env, SelfLimiting) else self._nothing > 0

    def successes(self) -> Tensor:
        return self._env.successes() if isinstance(self._env, SelfLimiting) else self._nothing

    def diverged(self) -> Tensor:
        return self._env.diverged()

    def snapshot(self) -> Tensor:
        return self._env.snapshot()

    def describe(self, task: Tensor) -> str:
        return self._env.describe(task)

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        return self._env.make_renderer(task, width, height)
