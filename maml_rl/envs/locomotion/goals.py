"""Goals of bodies: tasks, and the reward of a step's motion."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator


class Motion(NamedTuple):
    """The body's motion in a step, as the reward sees it. D is 1 in a plane, along x, and 2 in space."""

    velocity: Tensor  # [M, E, D], m/s over the whole step
    position: Tensor  # [M, E, D], m


@dataclass(frozen=True)
class Goal:
    """A distribution of tasks [T], and their rewards."""

    task_size: int  # T
    sample: Callable[[int, KeyedGenerator], Tensor]  # tasks [M, T]
    reward: Callable[[Motion, Tensor], Tensor]  # of tasks [M, 1, T]: [M, E]; without the body's costs
    describe: Callable[[list[float]], str]
    task_bound: float = 1e6  # no number of a task that somebody gives may be larger


def target_speed(max_speed: float, bonus: float = 0.0) -> Goal:
    """Run at a speed g (m/s), uniform in [0, max_speed]: bonus - |v - g|."""
    return Goal(
        1,
        lambda num_tasks, generator: generator.uniform(num_tasks, 1, high=max_speed),
        lambda motion, goals: bonus - (motion.velocity[..., 0] - goals[..., 0]).abs(),
        lambda goal: f"{goal[0]:.2f} m/s",
    )


def forward_or_backward(bonus: float = 0.0) -> Goal:
    """Run forward (g = 1) or backward (g = -1), with equal chances: g v + bonus."""
    return Goal(
        1,
        lambda num_tasks, generator: torch.where(generator.uniform(num_tasks, 1) < 0.5, 1.0, -1.0).double(),
        lambda motion, goals: goals[..., 0] * motion.velocity[..., 0] + bonus,
        lambda goal: "forward" if goal[0] > 0 else "backward",
    )


def direction(weight: float = 1.0, bonus: float = 0.0) -> Goal:
    """Run in a direction d, uniform on the unit circle: weight d . v + bonus."""
    return Goal(
        2,
        unit_circle,
        lambda motion, goals: weight * (motion.velocity * goals).sum(dim=-1) + bonus,
        lambda goal: f"towards ({goal[0]:.2f}, {goal[1]:.2f})",
    )


def place(max_distance: float) -> Goal:
    """Run to a place g (m), uniform in a disc of that radius: -|x - g|_1."""

    def sample(num_tasks: int, generator: KeyedGenerator) -> Tensor:
        radius, towards = generator.uniform(num_tasks, 1), unit_circle(num_tasks, generator)
        return max_distance * radius.sqrt() * towards

    return Goal(
        2,
        sample,
        lambda motion, goals: -(motion.position - goals).abs().sum(dim=-1),
        lambda goal: f"({goal[0]:.2f}, {goal[1]:.2f}) m",
    )


def unit_circle(num_tasks: int, generator: KeyedGenerator) -> Tensor:
    """Uniform directions [num_tasks, 2]."""
    angle = generator.uniform(num_tasks, 1, high=2 * pi)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
