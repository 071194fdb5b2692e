"""The planar half-cheetah that must run at a given speed, or in a given direction (Finn et al. 2017, section 5.3)."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs.locomotion.goals import forward_or_backward, target_speed
from maml_rl.envs.locomotion.mujoco_env import MujocoFamily, Start
from maml_rl.envs.locomotion.planar_com import PlanarCom
from maml_rl.envs.physics.contract import Physics
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model

CONTROL_COST = 0.05  # reward per squared actuator unit; rllab's 0.1 * 0.5
TORSO = 1  # body id

Variant = Literal["maml", "promp"]
# Steps, and m/s: target speeds are uniform in [0, MAX_SPEED].
HORIZON: dict[Variant, int] = {"maml": 200, "promp": 100}
MAX_SPEED: dict[Variant, float] = {"maml": 2.0, "promp": 3.0}


class HalfCheetah:
    """rllab's half-cheetah, as the MAML paper used it; or Gymnasium's, with a policy output of 10 for the full range.

    Observations: qpos without x [8] (m, rad), qvel [9] (m/s, rad/s) and, in the "maml" variant, the torso's subtree
    centre of mass [3] (m). Actions: torques [6] in units of the actuators' range. v is the forward velocity (m/s) of
    that centre of mass over a whole step, or ("promp") of the root joint. A step costs 0.05 |a|^2, a the clipped
    action. Never terminates.
    """

    file_name = "half_cheetah.xml"
    falls = derived = False

    def __init__(self, variant: Variant) -> None:
        self.center_of_mass = variant == "maml"  # whether it is observed
        self.model = load_gymnasium_model(self.file_name)
        self.observation_size = 20 if self.center_of_mass else 17
        self.substeps = 1 if variant == "maml" else 5  # of 0.01 s
        self.action_scale = 1.0 if variant == "maml" else 0.1
        self.start = (
            Start(uniform_qpos=False, qpos=0.01, uniform_qvel=False, qvel=0.1)
            if variant == "maml"
            else Start(uniform_qpos=True, qpos=0.1, uniform_qvel=False, qvel=0.1)
        )

    def pose(self) -> None:
        return None

    def in_simulations(self, physics: Physics) -> "HalfCheetahSenses":
        return HalfCheetahSenses(self, physics)


class HalfCheetahSenses:
    """`maml_rl.envs.locomotion.mujoco_env.Senses` of half-cheetahs."""

    def __init__(self, body: HalfCheetah, physics: Physics) -> None:
        self._physics = physics
        self._center_of_mass = PlanarCom(body.model, TORSO, physics.qpos) if body.center_of_mass else None

    def observe(self) -> tuple[Tensor, Tensor]:
        qpos, qvel = self._physics.qpos, self._physics.qvel
        if self._center_of_mass is None:
            return torch.cat([qpos[:, :, 1:], qvel], dim=-1), qpos[:, :, :1].clone()
        com = self._center_of_mass(qpos)
        return torch.cat([qpos[:, :, 1:], qvel, com], dim=-1), com[:, :, :1]

    def costs(self, controls: Tensor) -> Sequence[Tensor]:
        return [CONTROL_COST * controls.square().sum(dim=-1)]

    def fallen(self) -> None:
        return None


def half_cheetah_vel(variant: Variant = "maml") -> MujocoFamily:
    """Run at a target speed g (m/s), uniform in [0, 2] ("promp": [0, 3]): reward -|v - g| - 0.05 |a|^2."""
    return MujocoFamily(HalfCheetah(variant), target_speed(MAX_SPEED[variant]), HORIZON[variant])


def half_cheetah_dir(variant: Variant = "maml") -> MujocoFamily:
    """Run forward (g = 1) or backward (g = -1), with equal chances: reward g v - 0.05 |a|^2."""
    return MujocoFamily(HalfCheetah(variant), forward_or_backward(), HORIZON[variant])
