"""The contract that every family of tasks keeps.

Shapes: `M` tasks, `E` episodes per task, `O` observation, `A` action. All `M * E` simulations advance in one call.
All tensors are on the env's `device`, in its `dtype`, but tasks, which are float64 on the CPU. What `reset` and `step`
return may be a view of the live state: it holds until the next call.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from envs.keyed_generator import KeyedGenerator
from envs.pictures.renderer import Renderer


class TaskEnv(Protocol):
    """A family of tasks, simulated for `num_tasks` tasks and `episodes_per_task` episodes of each at once."""

    num_tasks: int  # M
    episodes_per_task: int  # E
    observation_size: int  # O
    action_size: int  # A
    discrete: bool  # whether an action is a choice among A: a one-hot vector
    action_bound: float  # of each component of an action, in units of the policy's output: beyond it `step` clips
    task_shape: tuple[int, ...]  # of one task, a row of `tasks`
    horizon: int  # steps of an episode in the published protocol; the time limit itself is the sampler's
    dt: float  # seconds of simulated time per step
    device: torch.device
    dtype: torch.dtype
    terminates: bool  # whether an episode can end before the sampler's time limit
    overlaps: bool  # whether most of `step` runs outside of the interpreter, so that threads gain from a part each

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        """Draw tasks from the family's distribution: [num_tasks, ...]. Task i depends on the generator's row i only."""
        ...

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        """Start an episode of its task in every simulation.

        tasks: [M, ...]. Returns the first observations [M, E, O]. Raises ValueError for tasks of another shape.
        """
        ...

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Advance every simulation by `dt`.

        actions: [M, E, A], the policy's output, unscaled and unclipped; scaling and clipping are the family's.
        Returns the next observations [M, E, O], the rewards of the step [M, E], and `ended` [M, E] bool: whether the
        step led into a terminal state, or ended an episode that `SelfLimiting.truncated` names. After the end of an
        episode a simulation has to be restarted: what it does otherwise is undefined.
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
        """A copy of the states [M, E, S] that `make_renderer`'s renderer draws."""
        ...

    def describe(self, task: Tensor) -> str:
        """One task in a few words, with its unit: "1.70 m/s"."""
        ...

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        """What draws episodes of one task, in pictures of that many pixels.

        Raises RenderingError (envs.pictures.offscreen) where this machine cannot.
        """
        ...


@runtime_checkable
class SelfLimiting(Protocol):
    """Optional: families that truncate episodes or report success."""

    def truncated(self) -> Tensor:
        """[M, E] bool: the last step ended the episode by a time limit of the env's own, not in a terminal state.

        The value of the observation that the step returned stands for what was cut off.
        """
        ...

    def successes(self) -> Tensor:
        """[M, E]: 1 if the present episode has met its task so far, 0 if not, NaN if the environment has not said."""
        ...


def check_tasks(tasks: Tensor, num_tasks: int, task_shape: tuple[int, ...]) -> None:
    """Raise ValueError unless tasks is [num_tasks, *task_shape]."""
    wanted = (num_tasks, *task_shape)
    if tuple(tasks.shape) != wanted:
        raise ValueError(f"tasks must have shape {wanted}, got {tuple(tasks.shape)}")
