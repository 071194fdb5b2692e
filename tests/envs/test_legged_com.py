import mujoco
import numpy as np
import pytest
import torch

from envs.legged_com import LeggedCom, rotation_matrix
from envs.physics import load_gymnasium_model


def test_place_and_rotation_equal_mujoco() -> None:
    model = load_gymnasium_model("ant.xml")
    center_of_mass = LeggedCom(model, 1)
    data = mujoco.MjData(model)
    qpos = 2 * torch.randn(50, model.nq, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for each in qpos:
        data.qpos[:] = each.numpy()
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        rotation = rotation_matrix(each[3:7])
        np.testing.assert_allclose(rotation.flatten(), data.xmat[1], rtol=0, atol=1e-12)
        np.testing.assert_allclose(center_of_mass(each, rotation), data.subtree_com[1], rtol=0, atol=1e-12)


def test_another_body_is_an_error() -> None:
    for name in ("humanoid.xml", "half_cheetah.xml"):
        with pytest.raises(ValueError, match="torso is not a torso on legs"):
            LeggedCom(load_gymnasium_model(name), 1)
