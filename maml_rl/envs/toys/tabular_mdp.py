"""Random finite Markov decision processes (Duan et al. 2016, "RL^2", section 3.2)."""

from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Step, check_tasks

STATES, ACTIONS = 10, 5


class TabularMdp:
    """A task [10, 5, 11] is, for each state and action, the next state's probabilities [10], and the mean reward.

    The probabilities are drawn from a flat Dirichlet distribution, the mean rewards from N(1, 1); a reward is drawn
    from N(mean, 1). Episodes begin in state 0 and never terminate. The observation is the state, an action one of 5,
    both one-hot vectors.
    """

    observation_size = STATES
    task_bound = 1e6
    task_parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    action_size = ACTIONS
    action_bound = 1.0
    task_shape: tuple[int, ...] = (STATES, ACTIONS, STATES + 1)
    horizon = 10
    dt = 0.5  # s, by convention
    choices: tuple[int, ...] = (ACTIONS,)
    terminates = False
    truncates = False

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        # Exponential draws over their sum have a flat Dirichlet distribution.
        exponential = -torch.log1p(-generator.uniform(num_tasks, STATES, ACTIONS, STATES))
        means = 1 + generator.normal(num_tasks, STATES, ACTIONS, 1)
        return torch.cat([exponential / exponential.sum(dim=-1, keepdim=True), means], dim=-1)

    def describe(self, task: Tensor) -> str:
        return f"mean rewards to {float(task[..., -1].max()):.2f}"

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        from maml_rl.envs.pictures.table_renderer import TabularMdpRenderer  # not before someone wants pictures

        return TabularMdpRenderer(task, width, height)

    def simulate(
        self, num_tasks: int, episodes_per_task: int, num_threads: int = 0, make_physics: MakePhysics | None = None
    ) -> "TabularMdpSimulation":
        return TabularMdpSimulation(num_tasks, episodes_per_task)


class TabularMdpSimulation:
    """Many processes at once."""

    device = torch.device("cpu")
    dtype = torch.float64
    overlaps = False

    def __init__(self, num_tasks: int, episodes_per_task: int) -> None:
        self.num_tasks = num_tasks
        self.episodes_per_task = episodes_per_task
        self._generator = KeyedGenerator(0)
        self._tasks = torch.zeros(num_tasks, *TabularMdp.task_shape, dtype=self.dtype)
        self._task_ids = torch.arange(num_tasks)[:, None]  # [M, 1]
        self._state = torch.zeros(num_tasks, episodes_per_task, dtype=torch.int64)
        self._never = torch.zeros(num_tasks, episodes_per_task, dtype=torch.bool)

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, TabularMdp.task_shape)
        self._tasks = tasks.to(self.dtype)
        self._generator = generator.child()
        self._state = torch.zeros_like(self._state)
        return self._observe()

    def restart(self, simulations: Tensor) -> Tensor:
        self._state = self._state.masked_fill(simulations, 0)
        return self._observe()

    def step(self, actions: Tensor) -> Step:
        chosen = self._tasks[self._task_ids, self._state, actions.argmax(dim=-1)]  # [M, E, 11]
        reward = chosen[..., -1] + self._generator.normal(*self._state.shape)
        # The first state whose cumulative probability exceeds a uniform draw; rounding must not lead beyond the last.
        draws = self._generator.uniform(*self._state.shape)[..., None]
        self._state = (chosen[..., :-1].cumsum(dim=-1) <= draws).sum(dim=-1).clamp(max=STATES - 1)
        return Step(self._observe(), reward, self._never, self._never)

    def diverged(self) -> Tensor:
        return self._never

    def snapshot(self) -> Tensor:
        """[M, E, 1]: the state's number."""
        return self._state[..., None].to(self.dtype)

    def _observe(self) -> Tensor:
        return torch.nn.functional.one_hot(self._state, STATES).to(self.dtype)


def tabular_mdp(variant: Literal["maml", "promp"] = "maml") -> TabularMdp:
    """Collect rewards in a random process of 10 states and 5 actions. The variants agree."""
    return TabularMdp()
