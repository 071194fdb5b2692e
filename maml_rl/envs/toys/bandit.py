"""Multi-armed bandits: which arm pays most often (Duan et al. 2016, "RL^2", section 3.1)."""

from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Step, check_tasks


class Bandit:
    """A task is the probabilities [k] with which k arms pay 1, uniform in [0, 1]. There is nothing to observe: a one.

    An action is a one-hot vector [k]: the arm to pull. The reward is 1 or 0. Never terminates.
    """

    observation_size = 1
    task_bound = 1e6
    task_parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    action_bound = 1.0
    horizon = 10
    dt = 0.5  # s, by convention
    terminates = False
    truncates = False

    def __init__(self, num_arms: int) -> None:
        self.action_size = num_arms
        self.choices: tuple[int, ...] = (num_arms,)
        self.task_shape: tuple[int, ...] = (num_arms,)

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return generator.uniform(num_tasks, *self.task_shape)

    def describe(self, task: Tensor) -> str:
        return f"arm {int(task.argmax())} pays {float(task.max()):.0%}"

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from maml_rl.envs.pictures.table_renderer import BanditRenderer  # not before someone wants pictures

        return BanditRenderer(task, width, height)

    def simulate(
        self, num_tasks: int, episodes_per_task: int, num_threads: int = 0, make_physics: MakePhysics | None = None
    ) -> "BanditSimulation":
        return BanditSimulation(num_tasks, episodes_per_task, self.action_size)


class BanditSimulation:
    """Many bandits at once."""

    device = torch.device("cpu")
    dtype = torch.float64
    overlaps = False

    def __init__(self, num_tasks: int, episodes_per_task: int, num_arms: int) -> None:
        self.num_tasks = num_tasks
        self.episodes_per_task = episodes_per_task
        self._generator = KeyedGenerator(0)
        self._probabilities = torch.zeros(num_tasks, 1, num_arms, dtype=self.dtype)
        self._pulls = torch.zeros(num_tasks, episodes_per_task, num_arms, dtype=self.dtype)  # so far, of each arm
        self._wins = torch.zeros_like(self._pulls)  # the pulls that paid
        self._nothing = torch.ones(num_tasks, episodes_per_task, 1, dtype=self.dtype)
        self._never = torch.zeros(num_tasks, episodes_per_task, dtype=torch.bool)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, (self._pulls.shape[-1],))
        self._probabilities = tasks.to(self.dtype)[:, None]
        self._generator = generator.child()
        self._pulls, self._wins = torch.zeros_like(self._pulls), torch.zeros_like(self._wins)
        return self._nothing

    def restart(self, simulations: Tensor) -> Tensor:
        self._pulls = self._pulls.masked_fill(simulations[..., None], 0.0)
        self._wins = self._wins.masked_fill(simulations[..., None], 0.0)
        return self._nothing

    def step(self, actions: Tensor) -> Step:
        arms = actions.argmax(dim=-1, keepdim=True)  # [M, E, 1]
        chance = self._probabilities.expand_as(self._pulls).gather(-1, arms)[..., 0]
        reward = (self._generator.uniform(*chance.shape) < chance).to(self.dtype)
        self._pulls = self._pulls.scatter_add(-1, arms, torch.ones_like(reward)[..., None])
        self._wins = self._wins.scatter_add(-1, arms, reward[..., None])
        return Step(self._nothing, reward, self._never, self._never)

    def diverged(self) -> Tensor:
        return self._never

    def snapshot(self) -> Tensor:
        """[M, E, 2 k]: pulls of each arm so far, and the pulls that paid."""
        return torch.cat([self._pulls, self._wins], dim=-1)


def bandit(variant: Literal["maml", "promp"] = "maml") -> Bandit:
    """Find the best of 5 arms. The variants agree."""
    return Bandit(5)


def bandit_10(variant: Literal["maml", "promp"] = "maml") -> Bandit:
    """Find the best of 10 arms. The variants agree."""
    return Bandit(10)


def bandit_50(variant: Literal["maml", "promp"] = "maml") -> Bandit:
    """Find the best of 50 arms. The variants agree."""
    return Bandit(50)
