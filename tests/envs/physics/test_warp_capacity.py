import mujoco
import numpy as np
import pytest

from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model
from maml_rl.envs.physics.warp_capacity import Capacity, largest_capacity


def test_by_hand() -> None:
    # Eight capsules on a floor, no two of which may touch; pyramids of 4 rows; 6 joints with limits.
    assert largest_capacity(load_gymnasium_model("half_cheetah.xml")) == Capacity(8 * 2, 8 * 2 * 4 + 6)
    # A sphere and twelve capsules on a floor; 8 joints with limits.
    assert largest_capacity(load_gymnasium_model("ant.xml")) == Capacity(1 + 12 * 2, (1 + 12 * 2) * 4 + 8)


@pytest.mark.parametrize("file_name", ["half_cheetah.xml", "ant.xml", "hopper.xml", "walker2d_v5.xml", "humanoid.xml"])
def test_no_posture_has_more(file_name: str) -> None:
    """Bodies crumpled at random, on and in the floor."""
    model = load_gymnasium_model(file_name)
    capacity = largest_capacity(model)
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    most = 0
    for _ in range(300):
        mujoco.mj_resetData(model, data)
        data.qpos[:] += rng.uniform(-3, 3, model.nq)
        data.qpos[1 if model.nq < 15 else 2] = rng.uniform(-1, 0.5)
        mujoco.mj_forward(model, data)
        assert data.ncon <= capacity.contacts
        assert data.nefc <= capacity.constraints
        most = max(most, data.ncon)
    assert most > capacity.contacts / 10
