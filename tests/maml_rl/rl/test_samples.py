import dataclasses

import torch

from maml_rl.meta import task_mean
from maml_rl.meta.task_mean import task_chunks
from maml_rl.rl import samples as samples_module
from maml_rl.rl.samples import Samples, make_samples
from maml_rl.rl.trajectories import Trajectories

E, H = 4, 12


def draw_trajectories(seed: int = 0, num_tasks: int = 3) -> Trajectories:
    """4 simulations of 12 steps for each task; the first ends at its sixth step, the second has one whole episode."""
    generator = torch.Generator().manual_seed(seed)
    terminated = torch.rand(num_tasks, E, H, generator=generator) < 0.05
    terminated[:, 0, 5] = True
    terminated[:, 1] = False
    return Trajectories(
        observations=torch.randn(num_tasks, E, H, 2, generator=generator),
        actions=torch.randn(num_tasks, E, H, 2, generator=generator),
        rewards=torch.randn(num_tasks, E, H, generator=generator, dtype=torch.float64),
        times=times_of(terminated),
        terminated=terminated,
        truncated=torch.zeros_like(terminated),
        final_observations=torch.randn(num_tasks, E, 2, generator=generator),
        diverged=torch.zeros(num_tasks, E, dtype=torch.bool),
    )


def times_of(ended: torch.Tensor) -> torch.Tensor:
    times = torch.zeros(ended.shape, dtype=torch.int64)
    for t in range(1, ended.shape[-1]):
        times[..., t] = (times[..., t - 1] + 1).masked_fill(ended[..., t - 1], 0)
    return times


def with_garbage(trajectories: Trajectories, garbage: float) -> Trajectories:
    outside = ~trajectories.mask
    return dataclasses.replace(
        trajectories,
        observations=trajectories.observations.masked_fill(outside[..., None], garbage),
        actions=trajectories.actions.masked_fill(outside[..., None], garbage),
        rewards=trajectories.rewards.masked_fill(outside, garbage),
        final_observations=trajectories.final_observations.masked_fill(outside[:, :, -1:], garbage),
    )


def assert_identical(left: Samples, right: Samples) -> None:
    for field in dataclasses.fields(Samples):
        one, other = getattr(left, field.name), getattr(right, field.name)
        same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        assert same, field.name


def test_a_diverged_simulation_changes_nothing() -> None:
    trajectories = draw_trajectories()
    diverged = torch.zeros(3, E, dtype=torch.bool)
    diverged[1, 2] = diverged[2, 1] = True
    trajectories = dataclasses.replace(trajectories, diverged=diverged)
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


def test_the_value_at_the_horizon_is_zero() -> None:
    """An episode cut exactly at the horizon is not bootstrapped: what it led to does not matter."""
    trajectories = draw_trajectories()
    whole = dataclasses.replace(
        trajectories,
        terminated=torch.zeros_like(trajectories.terminated),
        times=torch.arange(H).expand(3, E, H),
    )
    moved = dataclasses.replace(whole, final_observations=whole.final_observations + 1)
    assert_identical(make_samples(whole, 0.99, 0.95), make_samples(moved, 0.99, 0.95))
    # As good as a terminal state there.
    terminal = torch.zeros_like(whole.terminated)
    terminal[..., -1] = True
    assert_identical(
        make_samples(whole, 0.99, 0.95), make_samples(dataclasses.replace(whole, terminated=terminal), 0.99, 0.95)
    )


def test_an_episode_cut_off_by_the_end_of_the_batch_is_bootstrapped() -> None:
    trajectories = draw_trajectories()
    moved = dataclasses.replace(trajectories, final_observations=trajectories.final_observations + 1)
    unfinished = trajectories.unfinished()
    assert unfinished[:, 0, -1].all()  # the second episode of the first simulation, 6 steps old
    assert not unfinished[:, 1].any()
    assert not unfinished[..., :-1].any()
    before, after = make_samples(trajectories, 0.99, 0.95), make_samples(moved, 0.99, 0.95)
    assert not torch.allclose(before.advantages, after.advantages)
    ended = dataclasses.replace(trajectories, terminated=trajectories.terminated | unfinished)
    moved = dataclasses.replace(ended, final_observations=ended.final_observations + 1)
    assert_identical(make_samples(ended, 0.99, 0.95), make_samples(moved, 0.99, 0.95))


def test_a_time_limit_of_the_env_s_own_short_of_the_horizon_is_bootstrapped() -> None:
    """The second half of a row whose first half the env cut off equals a row of that half, cut off by the batch."""
    trajectories = draw_trajectories()
    truncated = torch.zeros_like(trajectories.terminated)
    truncated[:, 2, 5] = True
    terminated = trajectories.terminated.clone()
    terminated[:, 2] = False
    cut_observations = torch.full_like(trajectories.observations, torch.nan)
    cut_observations[truncated] = 1.0
    ours = dataclasses.replace(
        trajectories,
        terminated=terminated,
        truncated=truncated,
        times=times_of(terminated | truncated),
        cut_observations=cut_observations,
    )
    assert ours.unfinished()[:, 2, 5].all()
    torch.testing.assert_close(ours.observations_after(truncated), torch.ones(3, 2))
    moved = dataclasses.replace(ours, cut_observations=cut_observations + 1)
    before, after = make_samples(ours, 0.99, 0.95), make_samples(moved, 0.99, 0.95)
    assert before.advantages.isfinite().all()
    assert not torch.allclose(before.advantages, after.advantages)
    # At the horizon itself the env's limit is ours.
    at_horizon = torch.zeros_like(truncated)
    at_horizon[:, 1, -1] = True
    limited = dataclasses.replace(
        trajectories, truncated=at_horizon, cut_observations=torch.zeros_like(trajectories.observations)
    )
    assert_identical(make_samples(limited, 0.99, 0.95), make_samples(trajectories, 0.99, 0.95))


def test_a_bootstrapped_end_continues_the_return() -> None:
    """On rewards of 1 without an end the value is 1 / (1 - discount) everywhere, which only bootstrapping finds."""
    times = torch.arange(H).expand(1, E, H).clone()
    times[:, :, 6:] -= 6
    ended = torch.zeros(1, E, H, dtype=torch.bool)
    ended[..., 5] = True
    generator = torch.Generator().manual_seed(0)
    observations = torch.randn(1, E, H, 1, generator=generator)
    trajectories = dataclasses.replace(
        draw_trajectories(num_tasks=1),
        observations=observations,
        rewards=torch.ones(1, E, H, dtype=torch.float64) + 1e-3 * observations[..., 0],
        times=times,
        terminated=torch.zeros_like(ended),
        truncated=ended,
        cut_observations=torch.zeros(1, E, H, 1),
        final_observations=torch.zeros(1, E, 1),
    )
    advantages = samples_module._advantages(trajectories, 0.9, 1.0)
    # The return is 10 at every step; what is left of it is the noise of the rewards.
    assert advantages.abs().max() < 0.02


def test_means_over_episodes_are_over_the_first_of_each_simulation() -> None:
    trajectories = draw_trajectories()
    returns = trajectories.returns()
    torch.testing.assert_close(returns[:, 0], trajectories.rewards[:, 0, :6].sum(dim=-1))
    torch.testing.assert_close(returns[:, 1], trajectories.rewards[:, 1].sum(dim=-1))
    assert trajectories.num_steps() == 3 * E * H


def test_a_task_without_a_valid_step_has_no_weight() -> None:
    trajectories = draw_trajectories()
    diverged = torch.zeros(3, E, dtype=torch.bool)
    diverged[1] = True
    samples = make_samples(dataclasses.replace(trajectories, diverged=diverged), 0.99, 0.95)
    assert (samples.weights[1] == 0).all()
    assert samples.advantages.isfinite().all()


def test_every_nth_step_weighs_as_much_as_all() -> None:
    samples = make_samples(draw_trajectories(), 0.99, 0.95)
    seen = torch.zeros(E * H)
    for first in range(5):
        part = samples.every(5, first)
        torch.testing.assert_close(part.weights.sum(dim=1), torch.ones(3))
        torch.testing.assert_close(part.inputs, samples.inputs[:, first::5])
        seen[first::5] += 1
    assert (seen == 1).all()
    assert_identical(samples.every(1), samples)


def test_a_stride_beyond_the_steps_leaves_one_of_them() -> None:
    samples = make_samples(draw_trajectories(), 0.99, 0.95)
    for first in (0, 3, E * H, 7 * E * H + 2):
        part = samples.every(10 * E * H, first)
        torch.testing.assert_close(part.weights, torch.ones(3, 1))
        torch.testing.assert_close(part.inputs[:, 0], samples.inputs[:, first % (E * H)])


def test_chunks_cover_every_task_once(monkeypatch) -> None:
    samples = make_samples(draw_trajectories(num_tasks=5), 0.99, 0.95)
    for rows, sizes in ((1, [1] * 5), (100, [2, 2, 1]), (10**6, [5])):
        monkeypatch.setattr(task_mean, "CACHE_ROWS", rows)
        assert [len(range(5)[chunk]) for chunk in task_chunks(samples)] == sizes


def test_episodes_have_numbers_and_simulations_share_none() -> None:
    """As DiCE needs it: the number changes where the time begins anew, and from one simulation to the next."""
    trajectories = draw_trajectories()
    episodes = make_samples(trajectories, 0.99, 0.95).episodes
    assert episodes is not None
    by_row = episodes.unflatten(1, (E, H))
    changes = by_row[..., 1:] != by_row[..., :-1]
    assert torch.equal(changes, trajectories.ended()[..., :-1])
    assert changes[:, 0, 5].all()
    assert (by_row[:, 1:, 0] > by_row[:, :-1, -1]).all()


def test_a_task_s_return_is_the_mean_over_its_first_episodes_that_did_not_diverge() -> None:
    trajectories = draw_trajectories()
    diverged = torch.zeros(3, E, dtype=torch.bool)
    diverged[1, 2] = diverged[2] = True
    trajectories = dataclasses.replace(trajectories, diverged=diverged)
    returns = make_samples(trajectories, 0.99, 0.95).returns
    assert returns is not None
    of_episodes = trajectories.returns()
    torch.testing.assert_close(returns[0], of_episodes[0].mean().float())
    torch.testing.assert_close(returns[1], of_episodes[1, [0, 1, 3]].mean().float())
    assert returns[2].isnan()
