"""The humanoid that must walk in a given direction (ProMP, Rothfuss et al. 2019)."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs.locomotion.goals import direction
from maml_rl.envs.locomotion.mujoco_env import MujocoFamily, Start
from maml_rl.envs.physics.contract import Physics
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model

TORSO = 1  # body id: its subtree is the whole body
# ProMP's code divides by the physics step instead of the env's dt, and so pays five times as much.
VELOCITY_REWARD = 0.25  # per m/s along the direction
ALIVE = 5.0  # reward of each step
CONTROL_COST = 0.1  # reward per squared actuator unit
CONTACT_COST, MAX_CONTACT_COST = 5e-7, 10.0  # reward per squared unit of the external forces on the bodies; of a step
MIN_HEIGHT, MAX_HEIGHT = 1.0, 2.0  # m, of the torso
OBSERVED = ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")


class Humanoid:
    """Gymnasium's humanoid. An episode is done when the torso's height is outside of [1, 2] m.

    A step of 0.015 s costs 0.1 |a|^2 + min(5e-7 |forces|^2, 10), a the controls: the action times 0.1, clipped to +-1,
    times the range of 0.4. v is the velocity of the centre of mass (m/s) over the whole step. Observations, as
    Gymnasium has them: qpos without x and y [22] (m, rad, a quaternion), qvel [23] (m/s, rad/s), the bodies' inertias
    about the centre of mass [140], their velocities [84], the actuators' forces [23], and the external forces on each
    body [84] (N m, N). When they are computed: see `maml_rl.envs.locomotion.ant.Ant`.
    """

    file_name = "humanoid.xml"
    falls = derived = True
    action_scale = 0.1
    substeps = 5  # of 0.003 s
    start = Start(uniform_qpos=True, qpos=0.01, uniform_qvel=True, qvel=0.01)

    def __init__(self) -> None:
        self.model = load_gymnasium_model(self.file_name, contact_forces=True)
        self.observation_size = self.model.nq - 2 + 2 * self.model.nv + (10 + 6 + 6) * self.model.nbody

    def pose(self) -> None:
        return None

    def in_simulations(self, physics: Physics) -> "HumanoidSenses":
        return HumanoidSenses(physics)


class HumanoidSenses:
    """`maml_rl.envs.locomotion.mujoco_env.Senses` of humanoids."""

    def __init__(self, physics: Physics) -> None:
        self._physics = physics
        self._observed = [physics.field(name).flatten(2) for name in OBSERVED]  # [M, E, ...] each
        self._centers = physics.field("subtree_com")  # [M, E, 14, 3]

    def observe(self) -> tuple[Tensor, Tensor]:
        observations = torch.cat([self._physics.qpos[:, :, 2:], self._physics.qvel, *self._observed], dim=-1)
        return observations, self._centers[:, :, TORSO, :2].clone()

    def costs(self, controls: Tensor) -> Sequence[Tensor]:
        impact = (CONTACT_COST * self._observed[-1].square().sum(dim=-1)).clamp(max=MAX_CONTACT_COST)
        return [CONTROL_COST * controls.square().sum(dim=-1) + impact]

    def fallen(self) -> Tensor:
        height = self._physics.qpos[:, :, 2]
        return (height < MIN_HEIGHT) | (height > MAX_HEIGHT)


def humanoid_dir(variant: Literal["maml", "promp"] = "maml") -> MujocoFamily:
    """Walk in a direction, uniform on the unit circle: reward 0.25 d . v + 5 - costs; done when fallen.

    ProMP's, in both variants.
    """
    return MujocoFamily(Humanoid(), direction(VELOCITY_REWARD, ALIVE))
