"""The centre of mass of a body on legs, in closed form from its joint angles."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import mujoco
import numpy as np
import torch
from torch import Tensor

POSTURES = 60  # random ones, on which the coefficients are found


class LeggedCom:
    """Centre of mass of a torso that moves freely, and of legs with two hinges each, q1 from the torso and then q2.

    In the torso's frame a leg's part is linear in the nine products of (1, cos q1, sin q1) and (1, cos q2, sin q2). The
    coefficients are found by least squares on MuJoCo's own kinematics, whose fit is exact. MuJoCo computes the centre
    of mass at every step too, but for the last stage of its Runge-Kutta step, up to 5 mm from the end of the step.
    """

    def __init__(self, model: mujoco.MjModel, root: int, like: Tensor) -> None:
        """root: the torso. Its joint is the first, the legs' joints follow, a leg's two together.

        like: has the device and the dtype of the positions that will be given. Raises ValueError if the body is not
        of that form.
        """
        if (model.nq - 7) % 2:
            raise ValueError(f"body {model.body(root).name} is not a torso on legs with two hinges each")
        data, rng = mujoco.MjData(model), np.random.default_rng(0)
        postures, places = rng.uniform(-np.pi, np.pi, (POSTURES, model.nq - 7)), np.empty((POSTURES, 3))
        for posture, place in zip(postures, places, strict=True):
            data.qpos[:7], data.qpos[7:] = [0, 0, 0, 1, 0, 0, 0], posture
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            place[:] = data.subtree_com[root]
        products = _products(torch.from_numpy(postures)).numpy()
        coefficients = np.linalg.lstsq(products, places, rcond=None)[0]
        if not np.allclose(products @ coefficients, places, rtol=0, atol=1e-12):
            raise ValueError(f"body {model.body(root).name} is not a torso on legs with two hinges each")
        self._coefficients = torch.from_numpy(coefficients).to(like)

    def __call__(self, qpos: Tensor, rotation: Tensor) -> Tensor:
        """[..., 3] (m). qpos: [..., nq] (m, a quaternion, rad). rotation: [..., 3, 3], the torso's."""
        local = _products(qpos[..., 7:]) @ self._coefficients
        return qpos[..., :3] + (rotation @ local[..., None])[..., 0]


def _products(angles: Tensor) -> Tensor:
    """[..., 9 legs], from angles [..., 2 legs]."""
    hinges = torch.stack([torch.ones_like(angles), angles.cos(), angles.sin()], dim=-1).unflatten(-2, (-1, 2))
    return (hinges[..., 0, :, None] * hinges[..., 1, None, :]).flatten(-3)


def rotation_matrix(quaternion: Tensor) -> Tensor:
    """[..., 3, 3], from quaternions [..., 4] of any length, the real part first."""
    w, x, y, z = torch.nn.functional.normalize(quaternion, dim=-1).unbind(dim=-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
