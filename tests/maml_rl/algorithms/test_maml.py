"""How an iteration is wired: what each piece is given. The pieces themselves are tested beside this."""

import dataclasses

import pytest
import torch

from maml_rl.algorithms import maml as module
from maml_rl.algorithms.maml import initial_state, inner_kl, meta_update
from maml_rl.meta.inner_loop import adapt
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import Config
from maml_rl.options.wiring import make_envs, make_policy
from maml_rl.rl.samples import make_samples

CONFIG = Config(
    num_tasks=3,
    episodes_per_task=4,
    horizon=10,
    hidden_sizes=(5,),
    inner_steps=2,
    inner_lr=0.3,
    discount=0.8,
    gae_lambda=0.7,
    max_kl=0.02,
    cg_iterations=3,
    cg_damping=0.1,
    max_backtracks=4,
    backtrack_ratio=0.6,
    curvature_stride=2,
)


@pytest.fixture
def calls(monkeypatch):
    """Arguments and results of every call of a piece, with the real pieces at work."""
    recorded: dict[str, list] = {}

    def record(name: str) -> None:
        real = getattr(module, name)

        def wrapper(*arguments, **options):
            result = real(*arguments, **options)
            recorded.setdefault(name, []).append((arguments, options, result))
            return result

        monkeypatch.setattr(module, name, wrapper)

    for name in ("collect", "meta_objective", "trust_region_step"):
        record(name)
    return recorded


def run(config: Config = CONFIG, iterations: int = 1):
    env_parts = make_envs(config)
    policy = make_policy(config, env_parts[0])
    states, rows = [initial_state(config, policy)], []
    for _ in range(iterations):
        state, metrics = meta_update(config, env_parts, policy, states[-1])
        states.append(state)
        rows.append(metrics)
    return policy, states, rows


def test_each_rollout_is_adapted_from_the_one_before(calls) -> None:
    policy, states, _ = run()
    first, second, post = (result for _, _, result in calls["collect"])
    given = [arguments[2] for arguments, _, _ in calls["collect"]]
    start = states[0].theta.expand(3, -1)
    samples = [make_samples(each, 0.8, 0.7) for each in (first, second, post)]
    assert torch.equal(given[0], start)
    assert torch.equal(given[1], adapt(policy, start, samples[:1], 0.3))
    assert torch.equal(given[2], adapt(policy, start, samples[:2], 0.3))
    (arguments, _, _) = calls["meta_objective"][0]
    assert arguments[0] is policy
    assert all(torch.equal(passed, expected) for passed, expected in zip(arguments[1], given, strict=True))
    for passed, expected in zip([*arguments[2], arguments[3]], samples, strict=True):
        assert torch.equal(passed.advantages, expected.advantages)
        assert torch.equal(passed.actions, expected.actions)
    assert arguments[4:6] == (0.3, 2)  # inner_lr, and every second step for the curvature
    assert arguments[6] in (0, 1)


def test_the_outer_step_gets_the_options(calls) -> None:
    _, states, _ = run()
    ((arguments, options, step),) = calls["trust_region_step"]
    assert torch.equal(arguments[0], states[0].theta)
    assert torch.equal(step.theta, states[1].theta)
    expected = {"max_kl": 0.02, "cg_iterations": 3, "cg_damping": 0.1, "max_backtracks": 4, "backtrack_ratio": 0.6}
    assert options == expected


def test_tasks_and_noise_are_new_in_every_iteration_phase_and_seed(calls) -> None:
    run(iterations=2)
    run(dataclasses.replace(CONFIG, seed=2))
    tasks = [arguments[3] for arguments, _, _ in calls["collect"]]
    assert all(torch.equal(tasks[i], tasks[3 * (i // 3)]) for i in range(9))  # the same within an iteration
    assert len(torch.cat(tasks[::3]).unique(dim=0)) == 9
    noise = torch.cat([result.actions[:, :, 0].flatten(0, 1) for _, _, result in calls["collect"]])
    assert len(noise.unique(dim=0)) == 9 * 12


def test_the_curvature_sees_every_step_in_time(calls) -> None:
    run(iterations=8)
    assert {arguments[6] for arguments, _, _ in calls["meta_objective"]} == {0, 1}


def test_metrics_tell_what_happened(calls) -> None:
    _, states, rows = run(iterations=2)
    for i, row in enumerate(rows):
        rollouts = [result for _, _, result in calls["collect"][3 * i : 3 * i + 3]]
        step = calls["trust_region_step"][i][2]
        assert row["iteration"] == i == states[i].iteration
        assert row["return/pre"] == rollouts[0].mean_return()
        assert row["return/post"] == rollouts[2].mean_return()
        assert row["env_steps"] - states[i].env_steps == sum(each.num_steps() for each in rollouts)
        assert row["actions/outside"] == pytest.approx(float((rollouts[0].actions.abs() > 1).double().mean()))
        assert row["episodes/lived"] == pytest.approx(float(rollouts[0].first.sum()) / (3 * 4 * 10))
        assert (row["loss"], row["kl"], row["line_search/accepted"]) == (step.loss, step.kl, step.accepted)


def test_the_inner_kl_is_that_of_the_inner_loop_and_zero_without_one(calls) -> None:
    policy, _, rows = run()
    (arguments, _, _) = calls["meta_objective"][0]
    thetas_M, (batch, _) = arguments[1], arguments[2]
    parts = [policy.distribution(theta_M, batch.observations) for theta_M in (thetas_M[0], thetas_M[2])]
    expected = (batch.weights * parts[0].kl_to(parts[1])).sum()
    assert inner_kl(policy, thetas_M, [batch]) == pytest.approx(float(expected))
    assert rows[0]["inner_kl"] == pytest.approx(float(expected) / 3, rel=0.5)  # on every second step
    assert run(dataclasses.replace(CONFIG, inner_lr=0.0))[2][0]["inner_kl"] == 0
    assert run(dataclasses.replace(CONFIG, algorithm="pretrain"))[2][0]["inner_kl"] == 0


def test_the_configuration_reaches_the_env_and_the_policy() -> None:
    config = Config(
        env="halfcheetah-vel",
        variant="promp",
        num_tasks=2,
        episodes_per_task=3,
        hidden_sizes=(7, 6),
        nonlinearity="tanh",
        init_log_std=-0.5,
        min_log_std=-3.0,
        output_scale=0.1,
    )
    env_parts = make_envs(config)
    assert [(env.num_tasks, env.episodes_per_task, env.observation_size) for env in env_parts] == [(1, 3, 17)] * 2
    policy = make_policy(config, env_parts[0])
    assert policy == MlpPolicy(17, 6, (7, 6), "tanh", -0.5, -3.0, 0.1)
    state = initial_state(config, policy)
    assert (state.theta[-6:] == -0.5).all()
    assert not torch.equal(state.theta, initial_state(dataclasses.replace(config, seed=2), policy).theta)
