"""The contract, for every registered family."""

import numpy as np
import pytest
import torch

from maml_rl import envs
from maml_rl.envs import KeyedGenerator, OracleFamily, TrialFamily
from maml_rl.envs.pictures.offscreen import RenderingError
from tests.envs.played import Played, played

M, E = 3, 4


@pytest.fixture(params=[(name, variant) for name in envs.ENVS for variant in ("maml", "promp")], ids="-".join)
def env(request) -> Played:
    name, variant = request.param
    return played(name, M, E, variant, num_threads=1)


def random_actions(env: Played, steps: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    actions = torch.randn(steps, M, E, env.action_size, generator=generator, dtype=env.dtype)
    return torch.nn.functional.one_hot(actions.argmax(dim=-1)).to(env.dtype) if env.choices else actions


def roll_out(
    env: Played, tasks: torch.Tensor, actions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    steps = [env.reset(tasks, KeyedGenerator(0, 1))]
    rewards, terminated = [], []
    for action in actions:
        observation, reward, end = env.step(action)
        steps.append(observation)
        rewards.append(reward.clone())
        terminated.append(end.clone())
    return torch.stack(steps), torch.stack(rewards), torch.stack(terminated)


def test_shapes_types_and_a_whole_horizon_without_nan(env: Played) -> None:
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    observations, rewards, terminated = roll_out(env, tasks, random_actions(env, env.horizon))
    assert observations.shape == (env.horizon + 1, M, E, env.observation_size)
    assert rewards.shape == terminated.shape == (env.horizon, M, E)
    assert observations.dtype == rewards.dtype == env.dtype
    assert observations.device == rewards.device == terminated.device == env.device
    assert terminated.dtype == torch.bool
    assert observations.isfinite().all()
    assert rewards.isfinite().all()
    assert env.diverged().shape == (M, E)
    assert not env.diverged().any()
    assert env.dt > 0
    assert (env.num_tasks, env.episodes_per_task) == (M, E)


def test_tasks_are_drawn_one_by_one_and_are_not_all_the_same(env: Played) -> None:
    tasks = env.sample_tasks(20, KeyedGenerator(0, 0))
    assert torch.equal(tasks, env.sample_tasks(20, KeyedGenerator(0, 0)))
    assert torch.equal(tasks[5:], env.sample_tasks(15, KeyedGenerator(0, 0, first_task=5)))
    assert len(tasks.unique(dim=0)) > 1
    assert not torch.equal(tasks, env.sample_tasks(20, KeyedGenerator(0, 1)))


def test_the_same_seed_gives_the_same_episodes_again(env: Played) -> None:
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    first = roll_out(env, tasks, random_actions(env, 20))
    env.step(random_actions(env, 1)[0])
    second = roll_out(env, tasks, random_actions(env, 20))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_task_matters(env: Played) -> None:
    tasks = env.sample_tasks(20, KeyedGenerator(0, 0)).unique(dim=0)[:2]
    one, other = (task.expand(M, *env.task_shape) for task in tasks)
    actions = random_actions(env, 10)
    first, second = roll_out(env, one, actions), roll_out(env, other, actions)
    differs = [not torch.equal(left, right) for left, right in zip(first[1], second[1], strict=True)]
    assert any(differs) if env.choices else all(differs)  # a bandit pays 0 or 1


def test_actions_matter_and_are_clipped(env: Played) -> None:
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    actions = random_actions(env, 10)
    huge = roll_out(env, tasks, 1e3 * actions.sign())
    huger = roll_out(env, tasks, 1e6 * actions.sign())
    assert torch.equal(huge[1], huger[1])
    assert not torch.equal(huge[1], roll_out(env, tasks, 0 * actions)[1])


def test_tasks_of_another_shape_are_an_error(env: Played) -> None:
    tasks = env.sample_tasks(M + 1, KeyedGenerator(0, 0))
    with pytest.raises(ValueError, match=r"tasks must have shape \(3, "):
        env.reset(tasks, KeyedGenerator(0, 1))


def test_an_unknown_family_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown env 'walker'"):
        played("walker", M, E)


def test_a_task_has_its_shape_and_its_words(env: Played) -> None:
    tasks = env.sample_tasks(20, KeyedGenerator(0, 0)).unique(dim=0)
    assert tasks.shape[1:] == env.task_shape
    words = {env.describe(task) for task in tasks}
    assert 1 < len(words) <= len(tasks)
    assert all(len(each) < 30 for each in words)


def test_snapshots_are_copies_of_the_state(env: Played) -> None:
    env.reset(env.sample_tasks(M, KeyedGenerator(0, 0)), KeyedGenerator(0, 1))
    start = env.snapshot()
    kept = start.clone()
    env.step(random_actions(env, 1)[0])
    assert start.shape[:2] == (M, E)
    assert torch.equal(start, kept)
    assert not torch.equal(start, env.snapshot())


def test_pictures_show_the_state(env: Played) -> None:
    task = env.sample_tasks(1, KeyedGenerator(0, 0))[0]
    env.reset(env.sample_tasks(M, KeyedGenerator(0, 0)), KeyedGenerator(0, 1))
    states = [env.snapshot()[0, 0]]
    for action in random_actions(env, 20):
        env.step(action)
        states.append(env.snapshot()[0, 0])
    try:
        renderer = env.make_renderer(task, 96, 64)
    except RenderingError as error:
        pytest.skip(str(error))
    nothing = torch.empty(0, 21, len(states[0]), dtype=env.dtype)
    first, again, last = (renderer.draw(torch.stack(states[:t]), nothing) for t in (1, 1, 21))
    renderer.close()
    assert first.shape == (64, 96, 3)
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != last).any()


def test_an_oracle_is_the_same_family_told_its_task(env: Played) -> None:
    told = played(OracleFamily(env.family), M, E)
    tasks, actions = env.sample_tasks(M, KeyedGenerator(0, 0)), random_actions(env, 5)
    plain, oracle = roll_out(env, tasks, actions), roll_out(told, tasks, actions)
    size = tasks[0].numel()
    assert told.observation_size == env.observation_size + size
    assert torch.equal(oracle[0][..., :-size], plain[0])
    assert (oracle[0][..., -size:] == tasks.flatten(1)[:, None]).all()
    assert told.choices == env.choices
    assert torch.equal(oracle[1], plain[1])
    assert torch.equal(oracle[2], plain[2])


def test_a_trial_is_the_same_family_told_the_step_before(env: Played) -> None:
    told = played(TrialFamily(env.family), M, E, num_threads=1)
    tasks, actions = env.sample_tasks(M, KeyedGenerator(0, 0)), random_actions(env, 5)
    plain, trial = roll_out(env, tasks, actions), roll_out(told, tasks, actions)
    A = env.action_size
    assert told.observation_size == env.observation_size + A + 2
    assert torch.equal(trial[0][..., : -A - 2], plain[0])
    assert (trial[0][0, ..., -A - 2 :] == 0).all()
    assert torch.equal(trial[0][1:, ..., -A - 2 : -2], actions)
    assert torch.equal(trial[0][1:, ..., -2], plain[1])
    assert (trial[0][..., -1] == 0).all()
    assert told.choices == env.choices
    assert all(torch.equal(one, other) for one, other in zip(plain[1:], trial[1:], strict=True))

    chosen = torch.zeros(M, E, dtype=torch.bool, device=env.device)
    chosen[1, 2] = True
    restarted, expected = told.restart(chosen), env.restart(chosen)
    assert torch.equal(restarted[..., : -A - 2], expected)
    assert torch.equal(restarted[..., -A - 2 : -1], trial[0][-1, ..., -A - 2 : -1])
    assert torch.equal(restarted[..., -1] == 1, chosen)
    assert (told.step(actions[0])[0][..., -1] == 0).all()
    assert (told.reset(tasks, KeyedGenerator(0, 1))[..., -A - 2 :] == 0).all()
