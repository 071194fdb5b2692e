"""How an iteration is wired: what each piece is given. The pieces themselves are tested beside this."""

import dataclasses

import pytest
import torch

from maml_rl.algorithms.catalogue import ALGORITHMS, Entry
from maml_rl.meta import meta_step as meta_step_module
from maml_rl.meta.inner_loop import inner_step
from maml_rl.meta.meta_step import inner_kl
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.options.training import Training
from maml_rl.rl import rollouts as rollouts_module
from maml_rl.rl.losses import policy_gradient
from maml_rl.rl.samples import make_samples
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from tests.maml_rl.test_train import main, metrics
from tests.test_docs import examples
from tests.test_docs import run as run_example

CONFIG = configure(
    RlConfig(num_tasks=3, episodes_per_task=4, horizon=10, hidden_sizes=(5,), discount=0.8, gae_lambda=0.7),
    {
        "inner_steps": 2,
        "inner_lr": 0.3,
        "max_kl": 0.02,
        "cg_iterations": 3,
        "cg_damping": 0.1,
        "max_backtracks": 4,
        "backtrack_ratio": 0.6,
        "curvature_stride": 2,
    },
)


@pytest.fixture
def calls(monkeypatch):
    """Arguments and results of every call of a piece, with the real pieces at work."""
    recorded: dict[str, list] = {}

    def record(module, name: str) -> None:
        real = getattr(module, name)

        def wrapper(*arguments, **options):
            result = real(*arguments, **options)
            recorded.setdefault(name, []).append((arguments, options, result))
            return result

        monkeypatch.setattr(module, name, wrapper)

    record(rollouts_module, "collect")
    record(meta_step_module, "meta_objective")
    record(meta_step_module, "trust_region_step")
    return recorded


def run(config: RlConfig = CONFIG, iterations: int = 1):
    setting = make_rl_setting(config)
    checkpoints, rows = [Checkpoint(setting.initial_state(), 0, 0)], []
    for _ in range(iterations):
        checkpoint, metrics = iterate(setting, checkpoints[-1])
        checkpoints.append(checkpoint)
        rows.append(metrics)
    return setting.model, checkpoints, rows


def adapt(policy, theta_M, batches) -> torch.Tensor:
    for batch in batches:
        theta_M = inner_step(policy, theta_M, batch, policy_gradient, 0.3)
    return theta_M


def test_each_rollout_is_adapted_from_the_one_before(calls) -> None:
    policy, checkpoints, _ = run()
    first, second, post = (result for _, _, result in calls["collect"])
    given = [arguments[2].theta_M for arguments, _, _ in calls["collect"]]
    start = checkpoints[0].state["theta"].expand(3, -1)
    samples = [make_samples(each, 0.8, 0.7) for each in (first, second, post)]
    assert torch.equal(given[0], start)
    assert torch.equal(given[1], adapt(policy, start, samples[:1]))
    assert torch.equal(given[2], adapt(policy, start, samples[:2]))
    ((problem, path, inner, _, stride, first), _, _) = calls["meta_objective"][0]
    assert problem.model is policy
    assert all(torch.equal(passed, expected) for passed, expected in zip(path.thetas_M, given, strict=True))
    for passed, expected, theta_M in zip(path.batches, samples, given, strict=True):
        assert torch.equal(passed.advantages, expected.advantages)
        assert torch.equal(passed.actions, expected.actions)
        torch.testing.assert_close(passed.old, policy.at(theta_M)(passed.inputs))
    assert (inner.alpha, inner.steps, inner.first_order, stride) == (0.3, 2, False, 2)
    assert first in (0, 1)


def test_the_outer_step_gets_the_options(calls) -> None:
    _, checkpoints, _ = run()
    ((arguments, options, step),) = calls["trust_region_step"]
    assert torch.equal(arguments[0], checkpoints[0].state["theta"])
    assert torch.equal(step.theta, checkpoints[1].state["theta"])
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
    assert {arguments[5] for arguments, _, _ in calls["meta_objective"]} == {0, 1}


def test_metrics_tell_what_happened(calls) -> None:
    _, checkpoints, rows = run(iterations=2)
    for i, row in enumerate(rows):
        rollouts = [result for _, _, result in calls["collect"][3 * i : 3 * i + 3]]
        step = calls["trust_region_step"][i][2]
        assert row["iteration"] == i == checkpoints[i].iteration
        assert row["return/pre"] == rollouts[0].mean_return()
        assert row["return/post"] == rollouts[2].mean_return()
        assert row["env_steps"] - checkpoints[i].env_steps == sum(each.num_steps() for each in rollouts)
        assert row["actions/outside"] == pytest.approx(float((rollouts[0].actions.abs() > 1).double().mean()))
        assert row["episodes/lived"] == pytest.approx(float(rollouts[0].first.sum()) / (3 * 4 * 10))
        assert (row["loss"], row["kl"], row["line_search/accepted"]) == (step.loss, step.kl, step.accepted)
        parts = [row[f"time/{part}"] for part in ("collect", "adapt", "outer")]
        assert 0 < sum(parts) <= row["time/iteration"]


def test_the_inner_kl_is_that_of_the_inner_loop(calls) -> None:
    policy, _, rows = run()
    (problem, path, *_), _, _ = calls["meta_objective"][0]
    batch = path.batches[0]
    before, after = (policy.at(theta_M)(batch.inputs) for theta_M in (path.thetas_M[0], path.thetas_M[2]))
    expected = float((batch.weights * before.kl_to(after)).sum()) / 3
    assert inner_kl(problem, path) == pytest.approx(expected)
    assert rows[0]["inner_kl"] == pytest.approx(expected, rel=0.5)  # on every second step
    assert run(configure(CONFIG, {"inner_lr": 0.0}))[2][0]["inner_kl"] == 0
    pretrain = configure(CONFIG, {"algorithm": "pretrain"})
    assert "inner_kl" not in run(pretrain)[2][0]


def test_the_configuration_reaches_the_env_and_the_policy() -> None:
    config = RlConfig(
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
    setting = make_rl_setting(config)
    assert [(each.num_tasks, each.episodes_per_task) for each in setting.simulations] == [(1, 3)] * 2
    assert setting.family.observation_size == 17
    assert setting.model == MlpPolicy(17, 6, (7, 6), "tanh", -0.5, -3.0, 0.1)
    theta, other = (make_rl_setting(dataclasses.replace(config, seed=seed)).initial_state()["theta"] for seed in (1, 2))
    assert (theta[-6:] == -0.5).all()
    assert not torch.equal(theta, other)


def test_an_algorithm_without_a_line_search_trains_too(tmp_path, monkeypatch) -> None:
    """Progress and record ask for no metric that only some algorithms have."""
    names = run_example(examples("docs/development.md")[1])
    entry = Entry(names.MamlSgd, names.MamlSgdOptions, "MAML by plain gradient descent", "the development page")
    monkeypatch.setitem(ALGORITHMS, "sgd", entry)
    monkeypatch.setattr(Training, "__annotations__", Training.__annotations__ | {"algorithm": str})
    sizes = "--num-tasks 2 --episodes-per-task 2 --horizon 10 --hidden-sizes 4 --device cpu --iterations 2 --keep-best"
    assert main(["--algorithm", "sgd", *sizes.split(), "--run-dir", str(tmp_path / "run")]) == 0
    rows = metrics(tmp_path / "run")
    assert len(rows) == 2
    assert "line_search/accepted" not in rows[0]
