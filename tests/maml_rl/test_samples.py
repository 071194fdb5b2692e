import dataclasses

import torch

from maml_rl import samples as samples_module
from maml_rl.samples import Samples, make_samples, task_chunks
from maml_rl.trajectories import Trajectories


def draw_trajectories(seed: int = 0, num_tasks: int = 3) -> Trajectories:
    """4 episodes of 12 steps for each task, half of them terminated on the way, with garbage of 0 behind the end."""
    generator = torch.Generator().manual_seed(seed)
    E, H = 4, 12
    terminated = torch.rand(num_tasks, E, H, generator=generator) < 0.05
    terminated[:, 0, 5] = True
    terminated[:, 1] = False
    mask = terminated.cumsum(-1) - terminated.long() == 0
    return Trajectories(
        observations=torch.randn(num_tasks, E, H, 2, generator=generator) * mask[..., None],
        actions=torch.randn(num_tasks, E, H, 2, generator=generator) * mask[..., None],
        rewards=torch.randn(num_tasks, E, H, generator=generator, dtype=torch.float64) * mask,
        terminated=terminated & mask,
        mask=mask,
        final_observations=torch.randn(num_tasks, E, 2, generator=generator),
        diverged=torch.zeros(num_tasks, E, dtype=torch.bool),
    )


def with_garbage(trajectories: Trajectories, garbage: float) -> Trajectories:
    outside = ~trajectories.mask
    return dataclasses.replace(
        trajectories,
        observations=trajectories.observations.masked_fill(outside[..., None], garbage),
        actions=trajectories.actions.masked_fill(outside[..., None], garbage),
        rewards=trajectories.rewards.masked_fill(outside, garbage),
        terminated=trajectories.terminated | outside,
        final_observations=trajectories.final_observations.masked_fill(outside[:, :, -1:], garbage),
    )


def assert_identical(left: Samples, right: Samples) -> None:
    for field in dataclasses.fields(Samples):
        assert torch.equal(getattr(left, field.name), getattr(right, field.name)), field.name


def test_garbage_behind_the_end_of_an_episode_changes_nothing() -> None:
    trajectories = draw_trajectories()
    clean = make_samples(trajectories, 0.99, 0.95)
    for garbage in (1e30, float("nan"), float("inf")):
        assert_identical(clean, make_samples(with_garbage(trajectories, garbage), 0.99, 0.95))


def test_every_valid_step_of_a_task_weighs_the_same() -> None:
    trajectories = draw_trajectories()
    weights = make_samples(trajectories, 0.99, 0.95).weights
    for i in range(3):
        valid = trajectories.mask[i].flatten()
        torch.testing.assert_close(weights[i, valid], torch.full((int(valid.sum()),), 1 / valid.sum().item()))
        assert (weights[i, ~valid] == 0).all()


def test_advantages_are_normalised_by_the_standard_deviation_of_each_task() -> None:
    trajectories = draw_trajectories()
    samples = make_samples(trajectories, 0.99, 0.95)
    scaled = make_samples(dataclasses.replace(trajectories, rewards=100 * trajectories.rewards), 0.99, 0.95)
    torch.testing.assert_close(scaled.advantages, samples.advantages)
    for i in range(3):
        valid = samples.advantages[i][trajectories.mask[i].flatten()]
        torch.testing.assert_close(valid.mean(), torch.tensor(0.0), rtol=0, atol=1e-6)
        torch.testing.assert_close(valid.std(correction=0), torch.tensor(1.0))


def test_a_task_is_processed_alone() -> None:
    trajectories = draw_trajectories()
    together = make_samples(trajectories, 0.99, 0.95)
    for i in range(3):
        row = Trajectories(
            **{f.name: getattr(trajectories, f.name)[i : i + 1] for f in dataclasses.fields(Trajectories)}
        )
        alone = make_samples(row, 0.99, 0.95)
        torch.testing.assert_close(alone.advantages, together.advantages[i : i + 1])


def test_a_time_limit_is_bootstrapped_and_a_termination_is_not() -> None:
    trajectories = draw_trajectories()
    moved = dataclasses.replace(trajectories, final_observations=trajectories.final_observations + 1)
    before, after = (make_samples(each, 0.99, 0.95).advantages.unflatten(1, (4, 12)) for each in (trajectories, moved))
    # Normalisation couples the episodes of a task by an affine map, which keeps ratios of differences.
    assert not torch.allclose(before[:, 1], after[:, 1])
    short = dataclasses.replace(
        trajectories,
        final_observations=trajectories.final_observations.index_add(1, torch.tensor([0]), torch.ones(3, 1, 2)),
    )
    assert_identical(make_samples(trajectories, 0.99, 0.95), make_samples(short, 0.99, 0.95))


def test_a_time_limit_of_the_env_s_own_is_as_good_as_ours() -> None:
    """Cut off by the env after 12 of 15 steps, or by us after 12 of 12: the same samples, whatever stands behind."""
    ours = draw_trajectories()
    behind = torch.full((3, 4, 3, 2), torch.nan)
    behind[:, :, 0] = ours.final_observations

    def longer(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.ones_like(x[:, :, :3])], dim=2)

    theirs = dataclasses.replace(
        ours,
        observations=torch.cat([ours.observations, behind], dim=2),
        actions=longer(ours.actions),
        rewards=longer(ours.rewards),
        terminated=longer(ours.terminated),
        mask=torch.cat([ours.mask, torch.zeros(3, 4, 3, dtype=torch.bool)], dim=2),
        final_observations=torch.full_like(ours.final_observations, torch.nan),
    )
    expected, samples = make_samples(ours, 0.99, 0.95), make_samples(theirs, 0.99, 0.95)
    for field in dataclasses.fields(Samples):
        got = getattr(samples, field.name).unflatten(1, (4, 15))
        torch.testing.assert_close(got[:, :, :12], getattr(expected, field.name).unflatten(1, (4, 12)))
        assert (got[:, :, 12:] == 0).all()


def test_a_task_without_a_valid_step_has_no_weight() -> None:
    trajectories = draw_trajectories()
    mask = trajectories.mask.clone()
    mask[1] = False
    samples = make_samples(dataclasses.replace(trajectories, mask=mask), 0.99, 0.95)
    assert (samples.weights[1] == 0).all()
    assert samples.advantages.isfinite().all()


def test_chunks_cover_every_task_once(monkeypatch) -> None:
    samples = make_samples(draw_trajectories(num_tasks=5), 0.99, 0.95)
    for rows, sizes in ((1, [1] * 5), (100, [2, 2, 1]), (10**6, [5])):
        monkeypatch.setattr(samples_module, "CACHE_ROWS", rows)
        assert [len(range(5)[chunk]) for chunk in task_chunks(samples)] == sizes
