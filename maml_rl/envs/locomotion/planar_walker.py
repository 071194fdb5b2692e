"""Planar walkers that fall: direction tasks and bodies with random parameters (ProMP, Rothfuss et al. 2019)."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs.locomotion.goals import Goal, forward_or_backward
from maml_rl.envs.locomotion.mujoco_env import MujocoFamily, Start
from maml_rl.envs.locomotion.random_model import MAX_EXPONENT, RandomModel
from maml_rl.envs.physics.contract import Physics
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model

CONTROL_COST = 0.001  # reward per squared actuator unit
ALIVE = 1.0  # reward of each step
MAX_VELOCITY = 10.0  # m/s, rad/s: observed velocities are clipped to it

Variant = Literal["maml", "promp"]


@dataclass(frozen=True)
class Posture:
    """When a body stands."""

    min_height: float  # m, of the root
    max_height: float
    max_angle: float  # rad, of the root
    max_state: float  # of any element of the state but the root's x and z


WALKER = Posture(min_height=0.8, max_height=2.0, max_angle=1.0, max_state=inf)
HOPPER = Posture(min_height=0.7, max_height=inf, max_angle=0.2, max_state=100.0)


class PlanarWalker:
    """A body that must not fall. A step of 0.008 s costs 0.001 |a|^2, a the action times 0.1, clipped to +-1.

    v is the velocity of the root (m/s) over a whole step. Observations: qpos without x (m, rad) and qvel, clipped to
    +-10 (m/s, rad/s), as in Gymnasium's v5.
    """

    falls, derived = True, False
    action_scale = 0.1
    substeps = 4  # of 0.002 s
    start = Start(uniform_qpos=True, qpos=0.005, uniform_qvel=True, qvel=0.005)

    def __init__(self, file_name: str, posture: Posture) -> None:
        self.file_name, self.posture = file_name, posture
        self.model = load_gymnasium_model(file_name)
        self.observation_size = self.model.nq - 1 + self.model.nv

    def pose(self) -> None:
        return None

    def in_simulations(self, physics: Physics) -> "PlanarWalkerSenses":
        return PlanarWalkerSenses(self.posture, physics)


class PlanarWalkerSenses:
    """`maml_rl.envs.locomotion.mujoco_env.Senses` of planar walkers."""

    def __init__(self, posture: Posture, physics: Physics) -> None:
        self._posture, self._physics = posture, physics

    def observe(self) -> tuple[Tensor, Tensor]:
        qvel = self._physics.qvel.clamp(-MAX_VELOCITY, MAX_VELOCITY)
        return torch.cat([self._physics.qpos[:, :, 1:], qvel], dim=-1), self._physics.qpos[:, :, :1].clone()

    def costs(self, controls: Tensor) -> Sequence[Tensor]:
        return [CONTROL_COST * controls.square().sum(dim=-1)]

    def fallen(self) -> Tensor:
        height, angle = self._physics.qpos[:, :, 1], self._physics.qpos[:, :, 2]
        stands = (height > self._posture.min_height) & (height < self._posture.max_height)
        stands &= angle.abs() < self._posture.max_angle
        if self._posture.max_state < inf:
            stands &= (self._physics.qpos[:, :, 2:].abs() < self._posture.max_state).all(dim=-1)
            stands &= (self._physics.qvel.abs() < self._posture.max_state).all(dim=-1)
        return ~stands


def walker_dir(variant: Variant = "maml") -> MujocoFamily:
    """Walk forward (g = 1) or backward (g = -1), with equal chances: reward g v + 1 - 0.001 |a|^2; done when fallen.

    ProMP's, in both variants.
    """
    return MujocoFamily(PlanarWalker("walker2d_v5.xml", WALKER), forward_or_backward(ALIVE))


def walker_rand_params(variant: Variant = "maml") -> MujocoFamily:
    """Walk with a body of random mass, inertia, friction and damping: reward v + 1 - 0.001 |a|^2; done when fallen.

    ProMP's, in both variants.
    """
    return _with_random_bodies(PlanarWalker("walker2d_v5.xml", WALKER))


def hopper_rand_params(variant: Variant = "maml") -> MujocoFamily:
    """Hop with a body of random mass, inertia, friction and damping: reward v + 1 - 0.001 |a|^2; done when fallen.

    ProMP's, in both variants.
    """
    return _with_random_bodies(PlanarWalker("hopper.xml", HOPPER))


def _with_random_bodies(body: PlanarWalker) -> MujocoFamily:
    bodies = RandomModel(body.model)
    forward = Goal(
        bodies.task_size,
        bodies.sample,
        lambda motion, _: motion.velocity[..., 0] + ALIVE,
        lambda _: "forward",
        task_bound=10 * MAX_EXPONENT,  # beyond it MuJoCo has no body that it could move
    )
    return MujocoFamily(body, forward, random_model=bodies)
