"""2-D navigation: a point that must find a goal it cannot see (Finn et al. 2017, section 5.3)."""

from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Step, check_tasks

MAX_DISPLACEMENT = 0.1  # m per step and axis
GOAL_RANGE = 0.5  # m: goals are uniform in a square of twice this side around the start
GOAL_TOLERANCE = 0.01  # m per axis


class Navigation2D:
    """Tasks are goals [2] (m), uniform in [-0.5, 0.5]^2; the observation is the position [2] (m).

    Each step moves the point by the policy's output times 0.1 m, clipped to +-0.1 m per axis. The reward is minus the
    distance to the goal after the move. An episode ends when the point is within 0.01 m of the goal on both axes.
    """

    observation_size = 2
    task_bound = 1e6
    task_parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    action_size = 2
    action_bound = 1.0
    task_shape: tuple[int, ...] = (2,)
    horizon = 100
    dt = 0.1  # s, by convention: the family has no physics. Full speed is then 1 m/s per axis.
    choices: tuple[int, ...] = ()
    terminates = True
    truncates = False

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return generator.uniform(num_tasks, 2, low=-GOAL_RANGE, high=GOAL_RANGE)

    def describe(self, task: Tensor) -> str:
        x, y = task.tolist()
        return f"({x:.2f}, {y:.2f}) m"

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from maml_rl.envs.pictures.navigation_renderer import NavigationRenderer  # not before someone wants pictures

        return NavigationRenderer(task, width, height)

    def simulate(
        self, num_tasks: int, episodes_per_task: int, num_threads: int = 0, make_physics: MakePhysics | None = None
    ) -> "NavigationSimulation":
        return NavigationSimulation(num_tasks, episodes_per_task)


class NavigationSimulation:
    """Many points at once."""

    device = torch.device("cpu")
    dtype = torch.float64
    overlaps = False

    def __init__(self, num_tasks: int, episodes_per_task: int) -> None:
        self.num_tasks = num_tasks
        self.episodes_per_task = episodes_per_task
        self._goals = torch.zeros(num_tasks, 1, 2, dtype=self.dtype)
        self._position = torch.zeros(num_tasks, episodes_per_task, 2, dtype=self.dtype)
        self._never = torch.zeros(num_tasks, episodes_per_task, dtype=torch.bool)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, Navigation2D.task_shape)
        self._goals = tasks.to(self.dtype)[:, None]
        self._position = torch.zeros_like(self._position)
        return self._position

    def restart(self, simulations: Tensor) -> Tensor:
        self._position = self._position.masked_fill(simulations[..., None], 0.0)
        return self._position

    def step(self, actions: Tensor) -> Step:
        # The scale of the MAML authors' code: an output of 1 is the full range. Without it nearly every action
        # of a policy of unit variance is clipped.
        displacement = (MAX_DISPLACEMENT * actions).clamp(-MAX_DISPLACEMENT, MAX_DISPLACEMENT)
        self._position = self._position + displacement
        offset = self._position - self._goals  # [M, E, 2]
        reward = -torch.linalg.vector_norm(offset, dim=-1)
        return Step(self._position, reward, (offset.abs() < GOAL_TOLERANCE).all(dim=-1), self._never)

    def diverged(self) -> Tensor:
        return self._never

    def snapshot(self) -> Tensor:
        return self._position.clone()


def navigation_2d(variant: Literal["maml", "promp"] = "maml") -> Navigation2D:
    """Reach a goal drawn from [-0.5, 0.5]^2 m: reward minus the distance. The variants agree."""
    return Navigation2D()
