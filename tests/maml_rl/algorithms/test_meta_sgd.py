"""Meta-SGD: step sizes that are learned beside theta."""

import dataclasses

import numpy as np
import pytest
import torch

from maml_rl.algorithms.meta_sgd import MetaSgdOptions
from maml_rl.models.policies import MlpPolicy
from maml_rl.schema.errors import UsageError
from tests.maml_rl import finite_differences
from tests.maml_rl.algorithms.through_everything import asked_of_a_trust_region, made
from tests.maml_rl.given_problem import GivenProblem

POLICIES = {
    "gaussian": MlpPolicy(3, 2, (5,), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 4, (5,), "tanh", output_scale=2.0, choices=(4,)),
}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture(params=[1, 2], ids=["K=1", "K=2"])
def steps(request) -> int:
    return request.param


@pytest.fixture
def problem(policy, draw_samples) -> GivenProblem:
    return GivenProblem(policy, [draw_samples(policy, num_steps=20, seed=k) for k in range(3)])


def test_step_sizes_begin_between_their_bounds_each_its_own(policy) -> None:
    _, _, state = made("meta_sgd", policy, min_init_lr=0.02, max_init_lr=0.03)
    alpha = state["alpha"]
    assert alpha.shape == state["theta"].shape
    assert len(alpha.unique()) == len(alpha)
    assert ((alpha >= 0.02) & (alpha <= 0.03)).all()
    assert torch.equal(state["theta"], made("maml", policy)[2]["theta"])  # and do not disturb theta's draw


def test_theta_and_alpha_move(policy, steps, problem) -> None:
    algorithm, _, state = made("meta_sgd", policy, inner_steps=steps)
    after, metrics = algorithm.update(state, problem)
    assert metrics["line_search/accepted"]
    assert (after["alpha"] != state["alpha"]).all()
    assert (after["theta"] != state["theta"]).all()
    assert metrics["meta_sgd/alpha_mean"] == pytest.approx(float(after["alpha"].mean()))
    assert metrics["meta_sgd/alpha_std"] == pytest.approx(float(after["alpha"].std()))
    # The next update, and an evaluation, adapt by what was learned.
    _, one = algorithm.adapt(after, problem, 1)
    gradient = (after["theta"] - one.theta_M) / after["alpha"]
    _, two = algorithm.adapt(after | {"alpha": 0 * after["alpha"] + 1}, problem, 1)
    torch.testing.assert_close(gradient, after["theta"] - two.theta_M)


def test_step_sizes_that_have_become_negative_are_taken(policy, problem) -> None:
    algorithm, _, state = made("meta_sgd", policy)
    _, up = algorithm.adapt(state | {"alpha": -state["alpha"]}, problem, 1)
    _, down = algorithm.adapt(state, problem, 1)
    torch.testing.assert_close(up.theta_M - state["theta"], state["theta"] - down.theta_M)
    after, _ = algorithm.update(state | {"alpha": -state["alpha"]}, problem)
    assert after["alpha"].mean() < 0
    assert after["theta"].isfinite().all()


def test_with_equal_step_sizes_that_are_frozen_it_is_maml(policy, steps, problem, monkeypatch) -> None:
    """The part of theta: its gradient, its curvature, its line search, its adaptation."""
    options = {"inner_steps": steps, "curvature_stride": 3}
    algorithm, _, state = made("meta_sgd", policy, **options)
    alpha = torch.full_like(state["alpha"], 0.1)
    state |= {"alpha": alpha}
    maml, _, _ = made("maml", policy, **options)
    ours, theirs = (
        asked_of_a_trust_region(monkeypatch, each, state, dataclasses.replace(problem, random=np.random.default_rng(0)))
        for each in (algorithm, maml)
    )
    P = policy.num_parameters
    close = {"rtol": 1e-10, "atol": 1e-13}
    torch.testing.assert_close(ours.gradient[:P], theirs.gradient, **close)
    v = torch.randn(P, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    frozen = torch.cat([v, torch.zeros_like(v)])
    torch.testing.assert_close(ours.product(frozen)[:P], theirs.product(v), **close)
    assert ours.evaluate(torch.cat([0.9 * state["theta"], alpha])) == pytest.approx(
        theirs.evaluate(0.9 * state["theta"])
    )
    for one, other in zip(algorithm.adapt(state, problem, 3), maml.adapt(state, problem, 3), strict=True):
        torch.testing.assert_close(one.theta_M, other.theta_M, **close)
    assert algorithm.step_sizes(state, 0, 3) == pytest.approx(maml.step_sizes(state, 0, 3))


def test_alpha_takes_part_in_the_curvature_and_in_the_kl(five_parameters, draw_samples, steps, monkeypatch) -> None:
    """The whole Fisher matrix by theta and alpha, against finite differences of the KL that the line search sees."""
    algorithm, _, state = made("meta_sgd", five_parameters, inner_steps=steps, curvature_stride=1)
    batches = [draw_samples(five_parameters, num_steps=20, seed=k) for k in range(steps + 1)]
    question = asked_of_a_trust_region(monkeypatch, algorithm, state, GivenProblem(five_parameters, batches))
    generator = torch.Generator().manual_seed(0)
    zero, gradient = torch.zeros(5, dtype=torch.float64), question.gradient
    expected = finite_differences.gradient(lambda x: question.evaluate(x)[0], question.point, h=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-8)
    assert (gradient[5:].abs() > 1e-6).all()
    for _ in range(3):
        u, v = torch.randn(2, 5, dtype=torch.float64, generator=generator)
        for one, other in (([zero, u], [zero, v]), ([u, zero], [zero, v])):
            one, other = torch.cat(one), torch.cat(other)
            curvature = finite_differences.second_derivative(
                lambda x: question.evaluate(x)[1], question.point, one, other
            )
            assert abs(curvature) > 1e-4
            assert float(one @ question.product(other)) == pytest.approx(curvature, rel=1e-4, abs=1e-6)


def test_the_largest_first_step_size_is_not_below_the_least() -> None:
    with pytest.raises(UsageError, match=r"--min-init-lr: got 1.0, allowed: up to --max-init-lr, 0.1"):
        MetaSgdOptions(min_init_lr=1.0)
