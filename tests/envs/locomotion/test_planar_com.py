import mujoco
import pytest
import torch

from maml_rl.envs.locomotion.planar_com import PlanarCom
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model


def test_equals_mujoco() -> None:
    model = load_gymnasium_model("half_cheetah.xml")
    data = mujoco.MjData(model)
    qpos = 2 * torch.randn(20, model.nq, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    com = PlanarCom(model, 1, qpos)(qpos)
    for row, expected in zip(com, qpos, strict=True):
        data.qpos[:] = expected.numpy()
        mujoco.mj_forward(model, data)
        torch.testing.assert_close(row, torch.from_numpy(data.subtree_com[1]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("file_name", ["ant.xml", "reacher.xml"])
def test_a_body_that_leaves_the_plane_is_an_error(file_name: str) -> None:
    with pytest.raises(ValueError, match="does not keep the body in the x-z plane"):
        PlanarCom(load_gymnasium_model(file_name), 1, torch.empty(0))
