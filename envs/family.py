"""What there is to know of a family of tasks before one is made."""

from collections.abc import Callable
from dataclasses import dataclass

from envs.task_env import TaskEnv


@dataclass(frozen=True)
class Family:
    """A constructor, and the words for `--list-envs`."""

    make: Callable[..., TaskEnv]  # of (num_tasks, episodes_per_task, variant=), and simulate= where it has physics
    task: str  # what a task is
    range: str  # what tasks are drawn from
    source: str
    physics: bool = True  # whether it is simulated by MuJoCo
