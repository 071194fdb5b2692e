from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from maml_rl.envs.physics.cpu import CpuPhysics
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model


@pytest.fixture
def model() -> mujoco.MjModel:
    return load_gymnasium_model("half_cheetah.xml")


def shaken(physics: CpuPhysics, steps: int = 50) -> torch.Tensor:
    """States of all simulations after some steps under random controls."""
    generator = torch.Generator().manual_seed(0)
    physics.reset()
    physics.qvel.copy_(torch.randn(physics.qvel.shape, generator=generator))
    for _ in range(steps):
        physics.ctrl.copy_(torch.rand(physics.ctrl.shape, generator=generator) * 2 - 1)
        physics.step(2)
    return torch.cat([physics.qpos, physics.qvel], dim=-1)


def test_one_and_two_threads_are_bit_identical(model) -> None:
    assert torch.equal(shaken(CpuPhysics(model, 3, 4, num_threads=1)), shaken(CpuPhysics(model, 3, 4, num_threads=2)))


def test_equals_a_loop_of_mj_step(model) -> None:
    states = shaken(CpuPhysics(model, 3, 4))
    generator = torch.Generator().manual_seed(0)
    qvel = torch.randn(3, 4, model.nv, generator=generator)
    controls = [torch.rand(3, 4, model.nu, generator=generator) * 2 - 1 for _ in range(50)]
    data = mujoco.MjData(model)
    for i, e in np.ndindex(3, 4):
        mujoco.mj_resetData(model, data)
        data.qvel[:] = qvel[i, e]
        for control in controls:
            data.ctrl[:] = control[i, e]
            mujoco.mj_step(model, data, 2)
        assert torch.equal(states[i, e], torch.tensor(np.concatenate([data.qpos, data.qvel])))


@pytest.mark.parametrize("fault", ["qpos", "qvel", "ctrl"])
def test_a_diverged_simulation_is_named_and_leaves_the_others_alone(model, fault, tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    physics = CpuPhysics(model, 2, 3)
    physics.reset()
    expected = shaken(physics)
    assert not physics.diverged().any()
    physics.reset()
    generator = torch.Generator().manual_seed(0)
    physics.qvel.copy_(torch.randn(physics.qvel.shape, generator=generator))
    for t in range(50):
        physics.ctrl.copy_(torch.rand(physics.ctrl.shape, generator=generator) * 2 - 1)
        if t == 10:
            getattr(physics, fault)[1, 2] = float("nan")
        physics.step(2)
    assert physics.diverged().tolist() == [[False] * 3, [False, False, True]]
    states = torch.cat([physics.qpos, physics.qvel], dim=-1)
    assert torch.equal(states.flatten(0, 1)[:5], expected.flatten(0, 1)[:5])
    physics.reset()
    assert not physics.diverged().any()
    assert list(Path(tmp_path).iterdir()) == []  # MuJoCo's own log stays out of the user's folder
    assert capfd.readouterr().err == ""


def test_a_restart_changes_the_chosen_simulations_alone(model) -> None:
    physics, untouched = CpuPhysics(model, 2, 3, num_threads=1), CpuPhysics(model, 2, 3, num_threads=1)
    chosen = torch.zeros(physics.qpos.shape[:2], dtype=torch.bool)
    chosen[0, 1] = chosen[1, 2] = True
    for each in (physics, untouched):
        each.reset()
        each.qvel.copy_(torch.randn(each.qvel.shape, generator=torch.Generator().manual_seed(0)))
        each.step(5)
    physics.restart(chosen)
    physics.qvel[chosen] = 0.5
    physics.forward(chosen)
    for each in (physics, untouched):
        each.step(5)
    assert torch.equal(physics.qpos[~chosen], untouched.qpos[~chosen])
    fresh = CpuPhysics(model, 2, 3, num_threads=1)
    fresh.reset()
    fresh.qvel.fill_(0.5)
    fresh.step(5)
    assert torch.equal(physics.qpos[chosen], fresh.qpos[chosen])


def test_a_diverged_simulation_stays_one_when_it_is_restarted(model) -> None:
    physics = CpuPhysics(model, 2, 3, num_threads=1)
    physics.reset()
    physics.qvel[1, 2] = float("nan")
    physics.step(1)
    physics.restart(torch.ones(2, 3, dtype=torch.bool))
    physics.step(1)
    assert physics.diverged().tolist() == [[False] * 3, [False, False, True]]
