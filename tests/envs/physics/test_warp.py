"""MuJoCo Warp against MuJoCo, on Warp's CPU device: the same kernels as on CUDA, recorded and replayed the same way."""

from functools import partial

import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.errors import FamilyError
from maml_rl.envs.locomotion.random_model import RandomModel
from maml_rl.envs.physics.contract import Physics
from maml_rl.envs.physics.cpu import CpuPhysics
from maml_rl.envs.physics.gymnasium_models import load_gymnasium_model

pytest.importorskip("mujoco_warp", reason="the extra gpu is not installed")
from maml_rl.envs.physics.warp import WarpPhysics
from tests.envs.played import Played, played

M, E = 3, 4
CPU = torch.device("cpu")
# m, rad, m/s, rad/s; reward. Contacts amplify: rounding their start to float32 moves MuJoCo's own states by as much.
TOLERANCE = 1e-3
SOMEBODY = "hopper-rand-params"


def on_warp(name: str, num_tasks: int = M) -> Played:
    return played(name, num_tasks, E, make_physics=partial(WarpPhysics, device=CPU))


def random_actions(env: Played, steps: int = 20, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (steps, env.num_tasks, env.episodes_per_task, env.action_size)
    return env.action_bound * (torch.rand(shape, generator=generator) * 2 - 1)


def roll_out(env: Played, tasks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States [H + 1, M, E, S], rewards and terminations [H, M, E]."""
    env.reset(tasks, KeyedGenerator(0, 1))
    states, rewards, terminated = [env.snapshot()], [], []
    for action in random_actions(env):
        _, reward, end = env.step(action.to(env.dtype))
        states.append(env.snapshot())
        rewards.append(reward.clone())
        terminated.append(end.clone())
    return torch.stack(states), torch.stack(rewards), torch.stack(terminated)


@pytest.mark.parametrize("name", ["halfcheetah-vel", "ant-vel", SOMEBODY, "walker-rand-params", "humanoid-dir"])
def test_twenty_steps_follow_the_cpu(name: str) -> None:
    cpu, warp = played(name, M, E, num_threads=1), on_warp(name)
    assert (warp.dtype, warp.device, warp.overlaps) == (torch.float32, CPU, False)
    tasks = cpu.sample_tasks(M, KeyedGenerator(0, 0))
    assert torch.equal(tasks, warp.sample_tasks(M, KeyedGenerator(0, 0)))
    (states, rewards, ends), (warp_states, warp_rewards, warp_ends) = roll_out(cpu, tasks), roll_out(warp, tasks)
    alive = (ends.cumsum(dim=0) - ends.long() == 0)[..., None]  # up to the step that ended an episode
    assert torch.equal(ends & alive[..., 0], warp_ends & alive[..., 0])
    assert alive.float().mean() > 0.3
    torch.testing.assert_close(warp_states[0].double(), states[0], rtol=0, atol=2e-7)
    difference = (warp_states[1:].double() - states[1:]).where(alive, 0.0)
    assert difference.abs().max() < TOLERANCE
    assert (warp_rewards.double() - rewards).where(alive[..., 0], 0.0).abs().max() < TOLERANCE
    assert not warp.diverged().any()


@pytest.mark.parametrize("name", ["halfcheetah-vel", "ant-vel"])
def test_a_reset_forgets_everything(name: str) -> None:
    env = on_warp(name)
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    first, again = roll_out(env, tasks), roll_out(env, tasks)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_change_of_tasks_is_exact() -> None:
    env, fresh = on_warp(SOMEBODY), on_warp(SOMEBODY)
    one, other = (env.sample_tasks(M, KeyedGenerator(0, key)) for key in (0, 1))
    first = roll_out(env, one)
    second = roll_out(env, other)
    assert not torch.equal(first[0], second[0])
    assert all(torch.equal(a, b) for a, b in zip(roll_out(env, one), first, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(roll_out(fresh, other), second, strict=True))


def test_each_world_has_its_own_model() -> None:
    model = load_gymnasium_model("hopper.xml")
    random_model = RandomModel(model)
    tasks = random_model.sample(M, KeyedGenerator(0, 0))
    cpu, warp = CpuPhysics(model, M, E, 1), WarpPhysics(model, M, E, CPU)
    for physics in (cpu, warp):
        random_model.apply(physics, tasks)
    for name in random_model.fields(tasks):
        assert torch.equal(warp.model_field(name), cpu.model_field(name).float()), name
    for name in ("body_subtreemass", "body_invweight0", "dof_invweight0"):
        expected = cpu.model_field(name).flatten(2).float()
        torch.testing.assert_close(warp.model_field(name).flatten(2), expected, rtol=1e-3, atol=1e-6)


def pushed(physics: Physics, steps: int, substeps: int = 1) -> torch.Tensor:
    physics.reset()
    physics.qvel.copy_(torch.randn(physics.qvel.shape, generator=torch.Generator().manual_seed(0)))
    for _ in range(steps):
        physics.ctrl.fill_(0.5)
        physics.step(substeps)
    return torch.cat([physics.qpos, physics.qvel], dim=-1)


def test_a_step_is_its_substeps() -> None:
    physics = WarpPhysics(load_gymnasium_model("half_cheetah.xml"), M, E, CPU)
    assert torch.equal(pushed(physics, steps=6), pushed(physics, steps=2, substeps=3))


def test_a_restart_changes_the_chosen_simulations_alone() -> None:
    physics = WarpPhysics(load_gymnasium_model("half_cheetah.xml"), M, E, CPU)
    forces = physics.field("cfrc_ext")
    alone = pushed(physics, steps=10)
    chosen = torch.zeros(M, E, dtype=torch.bool)
    chosen[1, 2] = True
    pushed(physics, steps=5)
    before = forces.clone()
    physics.restart(chosen)
    physics.forward(chosen)
    assert torch.equal(forces[~chosen], before[~chosen])
    physics.ctrl[chosen] = 0
    for _ in range(5):
        physics.step(1)
    after = torch.cat([physics.qpos, physics.qvel], dim=-1)
    assert torch.equal(after[~chosen], alone[~chosen])
    fresh = WarpPhysics(load_gymnasium_model("half_cheetah.xml"), M, E, CPU)
    for _ in range(5):
        fresh.step(1)
    torch.testing.assert_close(after[chosen], torch.cat([fresh.qpos, fresh.qvel], dim=-1)[chosen])
    assert torch.equal(pushed(physics, steps=10), alone)


@pytest.mark.parametrize("fault", ["qpos", "qvel", "ctrl"])
def test_a_diverged_simulation_is_named_and_leaves_the_others_alone(fault: str) -> None:
    physics = WarpPhysics(load_gymnasium_model("half_cheetah.xml"), M, E, CPU)
    physics.reset()
    expected = pushed(physics, steps=6)
    assert not physics.diverged().any()
    pushed(physics, steps=5)
    getattr(physics, fault)[1, 2] = float("nan")
    physics.step(1)
    diverged = torch.zeros(M, E, dtype=torch.bool)
    diverged[1, 2] = True
    assert torch.equal(physics.diverged(), diverged)
    assert torch.equal(torch.cat([physics.qpos, physics.qvel], dim=-1)[~diverged], expected[~diverged])
    assert torch.equal(pushed(physics, steps=6), expected)
    assert not physics.diverged().any()


@pytest.mark.parametrize(("what", "room"), [("contacts", 1), ("constraints", 2)])
def test_too_little_room_is_an_error_that_names_the_size(what: str, room: int, capfd) -> None:
    model = load_gymnasium_model("half_cheetah.xml")
    physics = WarpPhysics(model, M, E, CPU, **{what: room})
    for _ in range(50):  # they fall onto the floor
        physics.step(1)
    with pytest.raises(FamilyError, match=f"more {what} than warp has room for: raise --warp-{what} above {room}"):
        physics.diverged()
    assert "overflow" not in capfd.readouterr().out
    physics.reset()
    assert not physics.diverged().any()
