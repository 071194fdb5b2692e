"""A trained policy: adapt it to a task, roll it out."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maml_rl.interface.in_short import in_short
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.meta.algorithm import State
from maml_rl.models.policy import Policy
from maml_rl.options.config import RlConfig
from maml_rl.options.given_tasks import as_tasks
from maml_rl.options.rl_wiring import RlSetting, make_family, make_rl_setting
from maml_rl.rl.rollouts import Rollouts
from maml_rl.rl.trajectories import Trajectories

Task = float | Sequence[float] | np.ndarray | Tensor


@dataclass(frozen=True, repr=False)
class MetaPolicy:
    """A policy, the configuration that it was trained with, and how often it was adapted."""

    config: RlConfig
    policy: Policy
    state: State  # of the algorithm, float32, on the CPU
    iteration: int  # iterations that it was trained for
    gradient_steps: int = 0  # taken by `adapt` since

    def __repr__(self) -> str:
        return in_short(self)

    @property
    def theta(self) -> Tensor:
        """[P], the policy's parameters."""
        return self.state["theta"]

    def act(self, observation: np.ndarray, seed: int | None = None) -> np.ndarray | int:
        """The action [A] of an observation [O], in units of the policy's output; or the number of a choice.

        Numbers [components] of an action of several choices. The most probable one, or with `seed` a draw keyed by it.
        Raises ValueError for an observation of another size, and for a policy that remembers: its action depends on
        the steps before, which `roll_out` plays.
        """
        if self.policy.memory_size:
            raise ValueError("act: got a policy with a memory, allowed: one that acts on an observation; see roll_out")
        x = torch.as_tensor(observation, dtype=torch.float32)
        if x.shape != (self.policy.observation_size,):
            raise ValueError(f"observation: got shape {tuple(x.shape)}, allowed: ({self.policy.observation_size},)")
        with torch.no_grad():
            distribution = self.policy.at(self.theta[None])(x[None, None])
        if seed is None:
            return self._as_action(distribution.mode())
        noise = distribution.draw_noise(keyed(Purpose.ACTIONS, seed), (1, 1, self.policy.action_size), torch.float32)
        return self._as_action(distribution.sample(noise))

    def _as_action(self, actions: Tensor) -> np.ndarray | int:
        """The only one of actions [1, 1, A]."""
        action, choices = actions[0, 0], self.policy.choices
        if not choices:
            return action.numpy()
        numbers = [int(one_hot.argmax()) for one_hot in action.split(choices)]
        return np.array(numbers) if len(numbers) > 1 else numbers[0]


def adapt_policy(
    meta_policy: MetaPolicy, task: Task, gradient_steps: int = 1, episodes: int | None = None, seed: int = 0
) -> MetaPolicy:
    """`maml_rl.adapt` of a policy."""
    if gradient_steps < 0:
        raise ValueError(f"gradient_steps: got {gradient_steps}, allowed: an integer >= 0")
    setting, rollouts = _one_task(meta_policy, task, episodes, seed)
    # A key of its own for each step, also if they are taken one by one.
    first = meta_policy.gradient_steps
    *_, last = setting.algorithm.adapt(meta_policy.state, rollouts, gradient_steps, first)
    state = meta_policy.state | {name: part[0] for name, part in last.state_M.items()}
    return dataclasses.replace(meta_policy, state=state, gradient_steps=first + gradient_steps)


def roll_out(meta_policy: MetaPolicy, task: Task, episodes: int | None = None, seed: int = 0) -> Trajectories:
    """Episodes of one task [1, E, H, ...]: `.mean_return()` of them, `.observations`, `.actions`, `.rewards`, ...

    task, episodes: as in `adapt`. Raises ValueError for a task of another shape.
    """
    setting, rollouts = _one_task(meta_policy, task, episodes, seed)
    actor = next(iter(setting.algorithm.adapt(meta_policy.state, rollouts, 0, meta_policy.gradient_steps)))
    return rollouts.play(actor, meta_policy.gradient_steps)


def _one_task(meta_policy: MetaPolicy, task: Task, episodes: int | None, seed: int) -> tuple[RlSetting, Rollouts]:
    """The problem of one task. Its draws are those of the Python interface."""
    episodes = meta_policy.config.episodes_per_task if episodes is None else episodes
    if episodes < 1:
        raise ValueError(f"episodes: got {episodes}, allowed: an integer >= 1")
    config = dataclasses.replace(meta_policy.config, num_tasks=1, episodes_per_task=episodes)
    setting = make_rl_setting(config, family=make_family(meta_policy.config))
    tasks = as_tasks([task], setting.family, "task")
    return setting, setting.problem(tasks, Draws(Purpose.INTERFACE_EPISODES, seed))
