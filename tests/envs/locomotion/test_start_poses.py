"""A body that is left alone stands, or falls over slowly: no start pose throws it."""

import pytest
import torch

from maml_rl import envs
from maml_rl.envs import KeyedGenerator
from tests.envs.played import played

M, E = 3, 4
STEPS = 20
HEIGHT = {"ant": 2, "humanoid": 2}  # the coordinate of qpos that is the root's height; 1 of planar bodies
BODIES = [(name, variant) for name in envs.ENVS if envs.has_physics(name) for variant in ("maml", "promp")]


@pytest.mark.parametrize(("name", "variant"), BODIES)
def test_zero_actions_do_not_throw_the_body(name: str, variant) -> None:
    env = played(name, M, E, variant, num_threads=1)
    env.reset(env.sample_tasks(M, KeyedGenerator(0, 0)), KeyedGenerator(0, 1))
    height = HEIGHT.get(name.split("-")[0], 1)
    start = env.snapshot()[..., height].clone()
    for _ in range(STEPS):
        _, _, ended = env.step(torch.zeros(M, E, env.action_size, dtype=env.dtype))
        assert not ended.any()
        assert (env.snapshot()[..., height] - start).max() < 0.1  # m


def test_the_paper_s_ants_start_with_their_ankles_within_their_limits() -> None:
    env = played("ant-vel", M, E, num_threads=1)
    env.reset(env.sample_tasks(M, KeyedGenerator(0, 0)), KeyedGenerator(0, 1))
    qpos = env.physics.qpos  # type: ignore[attr-defined]
    torch.testing.assert_close(
        qpos.mean(dim=(0, 1))[7:], torch.tensor([0, 1, 0, -1, 0, -1, 0, 1.0]).double(), atol=0.02, rtol=0
    )
    assert (qpos[..., 2] - 0.55).abs().max() < 0.05
    model = env.physics.model  # type: ignore[attr-defined]
    low, high = torch.from_numpy(model.jnt_range[1:]).T
    assert (qpos[..., 7:] > low - 0.05).all()
    assert (qpos[..., 7:] < high + 0.05).all()
    assert (env.dt, model.opt.timestep, model.opt.integrator) == (0.02, 0.02, 1)  # one step of Runge-Kutta, as rllab's
    assert (model.geom_solimp[:, :3] == [0.8, 0.8, 0.01]).all()
