"""The centre of mass of a planar body, in closed form from its joint angles."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import mujoco
import numpy as np
import torch
from torch import Tensor


class PlanarCom:
    """Centre of mass of a tree of bodies in the x-z plane: a root that slides along x and z, and hinges about y.

    With phi_b the sum of the hinge angles from the root to body b, R(phi) the rotation about y, and M the total mass,

        com = root + sum_b R(phi_b) c_b / M
        c_b = m_b (centre of mass of b) + sum over b's children of (mass of the child's tree) (place of the child)

    all in b's own frame. MuJoCo computes the same as `subtree_com`, but only together with everything else that follows
    from positions, which costs half as much again as a step of the half-cheetah.
    """

    def __init__(self, model: mujoco.MjModel, root: int, like: Tensor) -> None:
        """root: the body whose tree it is. like: has the device and the dtype of the positions that will be given.

        Raises ValueError if the tree is not of that form.
        """
        slides, hinges = np.zeros((model.nq, 3)), np.zeros((model.nq, model.nbody))
        tree = [body for body in range(model.nbody) if model.body_rootid[body] == root]
        coefficients = np.zeros((model.nbody, 3))
        for body in tree:
            parent = model.body_parentid[body]
            if body != root:
                hinges[:, body] = hinges[:, parent]
                coefficients[parent] += model.body_subtreemass[body] * model.body_pos[body]
            coefficients[body] += model.body_mass[body] * model.body_ipos[body]
            first = model.body_jntadr[body]
            for joint in range(first, first + model.body_jntnum[body]):
                axis, column = model.jnt_axis[joint], model.jnt_qposadr[joint]
                slide = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE and body == root and axis[1] == 0
                hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE and abs(axis[1]) == 1
                if not (slide or hinge) or model.jnt_pos[joint].any() or model.qpos0[column] != 0:
                    raise ValueError(f"joint {model.joint(joint).name} does not keep the body in the x-z plane")
                if slide:
                    slides[column] = axis
                else:
                    hinges[column, body] = axis[1]
            if not np.array_equal(model.body_quat[body], [1, 0, 0, 0]):
                raise ValueError(f"body {model.body(body).name} is turned against its parent")
        x, y, z = coefficients[tree].T / model.body_subtreemass[root]
        self._joints = torch.from_numpy(np.hstack([hinges[:, tree], slides])).to(
            like
        )  # [nq, B + 3]: to phi, and the root
        # cos phi and sin phi of every body -> x, y, z; a positive angle turns z towards x.
        rotated = np.stack([np.r_[x, z], np.zeros(2 * len(tree)), np.r_[z, -x]], axis=1)
        self._rotated = torch.from_numpy(rotated).to(like)
        self._place = torch.from_numpy(model.body_pos[root] + [0, y.sum(), 0]).to(like)

    def __call__(self, qpos: Tensor) -> Tensor:
        """[..., 3] (m), from joint positions [..., nq] (m, rad)."""
        phi, root = (qpos @ self._joints).tensor_split([-3], dim=-1)
        return (torch.cat([phi.cos(), phi.sin()], dim=-1) @ self._rotated).add_(root).add_(self._place)
