"""Reptile: where its update leads, against autograd, and what ties it to plain training."""

import dataclasses

import pytest
import torch

from maml_rl.models.policies import MlpPolicy
from tests.maml_rl.algorithms import through_everything as oracle
from tests.maml_rl.algorithms.through_everything import RecordingProblem, made

POLICIES = {
    "gaussian": MlpPolicy(3, 2, (5,), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 4, (5,), "tanh", output_scale=2.0, choices=(4,)),
}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture
def problem(policy, draw_samples) -> RecordingProblem:
    return RecordingProblem(policy, [draw_samples(policy, num_steps=20, seed=k) for k in range(4)])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_theta_moves_towards_the_mean_of_the_adapted_parameters(policy, problem, steps) -> None:
    """K fresh batches, one for each step, and none after the last."""
    algorithm, _, state = made("reptile", policy, inner_steps=steps, meta_lr=0.4)
    after, metrics = algorithm.update(state, problem)
    assert len(problem.drawn) == steps
    theta_M = state["theta"].expand(3, -1).clone().requires_grad_()
    for batch in problem.batches[:steps]:
        (gradient,) = torch.autograd.grad(oracle.plain(policy.at(theta_M)(batch.inputs), batch).sum(), theta_M)
        theta_M = (theta_M - 0.1 * gradient).detach().requires_grad_()
    way = theta_M.detach().mean(0) - state["theta"]
    torch.testing.assert_close(after["theta"], state["theta"] + 0.4 * way, rtol=1e-10, atol=1e-13)
    assert metrics == pytest.approx({"reptile/distance": float(way.norm()), "reptile/meta_lr": 0.4})


def test_one_step_is_gradient_descent_on_all_tasks_at_once(policy, problem) -> None:
    algorithm, _, state = made("reptile", policy, inner_steps=1, meta_lr=0.5)
    after, _ = algorithm.update(state, problem)
    theta = state["theta"].clone().requires_grad_()
    batch = problem.batches[0]
    oracle.plain(policy.at(theta.expand(3, -1))(batch.inputs), batch).mean().backward()
    torch.testing.assert_close(after["theta"], state["theta"] - 0.5 * 0.1 * theta.grad, rtol=1e-10, atol=1e-13)


def test_two_steps_see_the_curvature(policy, problem) -> None:
    """Nichol et al. 2018, eq. 25 to 27: to the first order in alpha the way is -alpha (g1 + g2) + alpha^2 H2 g1."""
    algorithm, _, state = made("reptile", policy, inner_steps=2, inner_lr=1e-4)
    after, _ = algorithm.update(state, problem)

    def loss(theta, batch):
        return oracle.plain(policy.at(theta[None])(batch.inputs), batch).sum()

    ways = []
    for i in range(3):
        theta = state["theta"].clone().requires_grad_()
        one, two = (batch.rows(slice(i, i + 1)) for batch in problem.batches[:2])
        (g1,), (g2,) = (torch.autograd.grad(loss(theta, batch), theta) for batch in (one, two))
        _, Hg = torch.autograd.functional.hvp(lambda x, two=two: loss(x, two), state["theta"], g1)
        ways.append((-(g1 + g2) + 1e-4 * Hg, g1 + g2))
    exact = sum(way for way, _ in ways) / 3
    rough = -sum(way for _, way in ways) / 3
    way = (after["theta"] - state["theta"]) / 1e-4
    assert (way - exact).norm() < 1e-2 * (rough - exact).norm()


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.8), (0.25, 0.6), (0.75, 0.2)])
def test_the_share_of_the_way_falls_linearly(problem, policy, progress, share) -> None:
    algorithm, _, state = made("reptile", policy, meta_lr=0.8)
    start, _ = algorithm.update(state, dataclasses.replace(problem, drawn=[]))
    later, metrics = algorithm.update(state, dataclasses.replace(problem, drawn=[], progress=progress))
    assert metrics["reptile/meta_lr"] == pytest.approx(share)
    torch.testing.assert_close(later["theta"] - state["theta"], share / 0.8 * (start["theta"] - state["theta"]))
