"""The four-legged ant that must run at a given speed, in a given direction, or to a given place.

Finn et al. 2017, section 5.3; Rothfuss et al. 2019 (ProMP).
"""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from maml_rl.envs.locomotion.goals import direction, forward_or_backward, place, target_speed
from maml_rl.envs.locomotion.legged_com import LeggedCom, rotation_matrix
from maml_rl.envs.locomotion.mujoco_env import MujocoFamily, Start
from maml_rl.envs.physics.contract import Physics
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model

TORSO = 1  # body id
MIN_HEIGHT, MAX_HEIGHT = 0.2, 1.0  # m, of the torso: outside the ant has fallen, or leapt
MAX_SPEED = 3.0  # m/s: target speeds are uniform in [0, MAX_SPEED]
MAX_DISTANCE = 3.0  # m: goals are uniform in a disc of this radius
CONTACT_COST = 0.0005  # reward per squared unit of the external forces on the bodies

Variant = Literal["maml", "promp"]


@dataclass(frozen=True)
class Costs:
    """The ant's costs in a family, and whether its episodes end."""

    control: float = 0.005  # reward per squared action, relative to its range
    clips_contact: bool = True  # whether forces count up to 1 only
    falls: bool = True  # whether an episode ends with the height outside of its bounds


class Ant:
    """rllab's ant, as the MAML paper used it; or Gymnasium's ("promp"), with a policy output of 10 for the full range.

    Observations: qpos [15] without x and y (m, rad, a quaternion), qvel [14] (m/s, rad/s), and the external forces on
    each body [84] (N m, N), clipped to +-1; the "maml" variant observes x and y too, and the torso's rotation matrix
    [9] and the centre of mass [3] (m). Actions: torques [8] relative to their range. A step costs
    costs.control |a|^2 + 0.0005 |forces|^2, a the clipped action.

    The forces are of the start of the last substep, a time step of the physics before the state. v is that of the
    centre of mass; in the "promp" variant of the torso, whose place is that of the last stage of MuJoCo's Runge-Kutta
    step, as in Gymnasium's environment.
    """

    file_name = "ant.xml"
    derived = True

    def __init__(self, variant: Variant, costs: Costs) -> None:
        maml = variant == "maml"
        self.center_of_mass = maml  # whether it, x, y and the torso's rotation are observed
        self.given, self.falls = costs, costs.falls
        self.model = load_gymnasium_model(self.file_name, contact_forces=True)
        self.substeps, self.model.opt.timestep = (1, 0.02) if maml else (5, 0.01)
        if maml:
            self.model.geom_solimp[:, :3] = (0.8, 0.8, 0.01)  # impedance of contacts
        self.action_scale = 1.0 if maml else 0.1
        scale = 0.01 if maml else 0.1
        self.start = Start(uniform_qpos=not maml, qpos=scale, uniform_qvel=False, qvel=0.1)
        # The model's default pose has its ankles outside of their limits, which throw the ant into the air.
        self._author_start = maml
        sizes = self.model.nq + self.model.nv + 6 * self.model.nbody
        self.observation_size = sizes + (12 if self.center_of_mass else -2)

    def pose(self) -> Tensor | None:
        if not self._author_start:
            return None
        return torch.from_numpy(self.model.numeric("init_qpos").data - self.model.qpos0)

    def in_simulations(self, physics: Physics) -> "AntSenses":
        return AntSenses(self, physics)


class AntSenses:
    """`maml_rl.envs.locomotion.mujoco_env.Senses` of ants."""

    def __init__(self, body: Ant, physics: Physics) -> None:
        self._physics, self._costs = physics, body.given
        self._forces = physics.field("cfrc_ext")  # [M, E, 14, 6]
        self._torsos = physics.field("xpos")  # [M, E, 14, 3]
        self._center_of_mass = LeggedCom(body.model, TORSO, physics.qpos) if body.center_of_mass else None

    def observe(self) -> tuple[Tensor, Tensor]:
        qpos, qvel, forces = self._physics.qpos, self._physics.qvel, self._forces.flatten(2).clamp(-1.0, 1.0)
        if self._center_of_mass is None:
            return torch.cat([qpos[:, :, 2:], qvel, forces], dim=-1), self._torsos[:, :, TORSO, :2].clone()
        rotation = rotation_matrix(qpos[:, :, 3:7])
        center = self._center_of_mass(qpos, rotation)
        return torch.cat([qpos, qvel, forces, rotation.flatten(2), center], dim=-1), center[:, :, :2]

    def costs(self, controls: Tensor) -> Sequence[Tensor]:
        forces = self._forces.flatten(2)
        if self._costs.clips_contact:
            forces = forces.clamp(-1.0, 1.0)
        contact = CONTACT_COST * forces.square().sum(dim=-1)
        return [self._costs.control * controls.square().sum(dim=-1), contact]

    def fallen(self) -> Tensor | None:
        if not self._costs.falls:
            return None
        height = self._physics.qpos[:, :, 2]
        return (height < MIN_HEIGHT) | (height > MAX_HEIGHT)


def ant_vel(variant: Variant = "maml") -> MujocoFamily:
    """Run at a target speed g (m/s), uniform in [0, 3]: reward 1 - |v - g| + 0.05 - costs; done when fallen."""
    return MujocoFamily(Ant(variant, Costs()), target_speed(MAX_SPEED, bonus=1.05))


def ant_dir(variant: Variant = "maml") -> MujocoFamily:
    """Run forward (g = 1) or backward (g = -1): reward g v + 0.05 - costs; done when fallen.

    In ProMP's version g is a vector, uniform on the unit circle, the reward for not having fallen is 1, and the control
    cost is 0.5 |a|^2.
    """
    if variant == "promp":
        return MujocoFamily(Ant(variant, Costs(control=0.5)), direction(bonus=1.0))
    return MujocoFamily(Ant(variant, Costs()), forward_or_backward(bonus=0.05))


def ant_goal(variant: Variant = "maml") -> MujocoFamily:
    """Run to a place g (m), uniform in a disc of radius 3: reward -|x - g|_1 - 0.1 |a|^2 - contact cost; never done."""
    costs = Costs(control=0.1, clips_contact=False, falls=False)
    return MujocoFamily(Ant(variant, costs), place(MAX_DISTANCE))
