import mujoco
import numpy as np
import pytest
import torch

from maml_rl.envs.locomotion.legged_com import LeggedCom, rotation_matrix
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model


def test_place_and_rotation_equal_mujoco() -> None:
    model = load_gymnasium_model("ant.xml")
    data = mujoco.MjData(model)
    qpos = 2 * torch.randn(50, model.nq, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    center_of_mass = LeggedCom(model, 1, qpos)
    for each in qpos:
        data.qpos[:] = each.numpy()
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        rotation = rotation_matrix(each[3:7])
        np.testing.assert_allclose(rotation.flatten(), data.xmat[1], rtol=0, atol=1e-12)
        np.testing.assert_allclose(center_of_mass(each, rotation), data.subtree_com[1], rtol=0, atol=1e-12)


def leg(*rest: str) -> str:
    """A body at the end of a hinge, and what hangs on it."""
    return f'<body pos="1 0 0"><joint type="hinge" axis="0 1 0"/><geom size=".1"/>{"".join(rest)}</body>'


@pytest.mark.parametrize("legs", [leg() + leg() + leg(), leg(leg(leg(leg())))], ids=["three-hinges", "one-long-leg"])
def test_another_body_is_an_error(legs: str) -> None:
    torso = f'<body name="torso"><freejoint/><geom size=".1"/>{legs}</body>'
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{torso}</worldbody></mujoco>")
    with pytest.raises(ValueError, match="torso is not a torso on legs"):
        LeggedCom(model, 1, torch.empty(0))
