"""The contract of a simulation: episodes of many tasks of a family at once.

Shapes: `M` tasks, `E` episodes per task, `O` observation, `A` action. All `M * E` simulations advance in one call. All
tensors are on the simulation's `device`, in its `dtype`, but tasks, which are float64 on the CPU. The results of
`reset` and `step` may be views of the live state: they hold until the next call.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator


class Step(NamedTuple):
    """The result of a step."""

    observations: Tensor  # [M, E, O], after the step
    rewards: Tensor  # [M, E]
    terminated: Tensor  # [M, E] bool: the step led into a terminal state
    truncated: Tensor  # [M, E] bool: a time limit of the family's own ended the episode, in no terminal state
    # [M, E]: 1 if the present episode has met its task so far, 0 if not, NaN if the environment does not say.
    successes: Tensor | None = None  # None unless the family `truncates`


class Simulation(Protocol):
    """Episodes of `num_tasks` tasks, `episodes_per_task` of each at once."""

    num_tasks: int  # M
    episodes_per_task: int  # E
    device: torch.device
    dtype: torch.dtype
    overlaps: bool  # whether most of `step` runs outside of the interpreter, so that threads gain from a part each

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        """Start an episode of its task in every simulation.

        tasks: [M, ...]. Returns the first observations [M, E, O]. Raises ValueError for tasks of another shape.
        """
        ...

    def step(self, actions: Tensor) -> Step:
        """Advance every simulation by the family's `dt`.

        actions: [M, E, A], the policy's output, unscaled and unclipped; scaling and clipping are the family's. After
        the end of an episode a simulation has to be restarted: its behaviour is undefined otherwise.
        """
        ...

    def restart(self, simulations: Tensor) -> Tensor:
        """Start the next episode of the same task in some simulations, [M, E] bool; the others do not change.

        The start state of a simulation's n-th episode is keyed by the generator that `reset` was given and by n.
        Returns the present observations of all simulations [M, E, O].
        """
        ...

    def diverged(self) -> Tensor:
        """[M, E] bool: simulations whose physics became unstable since `reset`. Nothing they returned is to be used."""
        ...

    def snapshot(self) -> Tensor:
        """A copy of the states [M, E, S] that the family's renderer draws."""
        ...


def check_tasks(tasks: Tensor, num_tasks: int, task_shape: tuple[int, ...]) -> None:
    """Raise ValueError unless tasks is [num_tasks, *task_shape]."""
    wanted = (num_tasks, *task_shape)
    if tuple(tasks.shape) != wanted:
        raise ValueError(f"tasks must have shape {wanted}, got {tuple(tasks.shape)}")
