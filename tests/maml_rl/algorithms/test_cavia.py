"""CAVIA: a context adapts, from zero, and nothing else does."""

import dataclasses

import numpy as np
import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import policy_gradient
from tests.maml_rl import finite_differences
from tests.maml_rl.algorithms import through_everything as oracle
from tests.maml_rl.algorithms.through_everything import RecordingProblem, made
from tests.maml_rl.given_problem import GivenProblem

C = 2
POLICIES = {
    "gaussian": MlpPolicy(3, 2, (5,), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 4, (5,), "tanh", output_scale=2.0, choices=(4,)),
}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture
def batches(policy, draw_samples) -> list:
    return [draw_samples(policy, num_steps=20, seed=k) for k in range(3)]


def test_the_context_stands_beside_the_observation_in_all_states(policy, batches) -> None:
    """A model with a context is one without whose observations end in it."""
    model, wider = (
        dataclasses.replace(policy, context_size=C),
        dataclasses.replace(policy, observation_size=3 + C),
    )
    theta = torch.randn(3, model.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert next(iter(model.parameter_shapes)) == "context"
    assert model.num_parameters == wider.num_parameters + C
    inputs = batches[0].inputs
    seen = torch.cat([inputs, theta[:, None, :C].expand(-1, inputs.shape[1], -1)], dim=-1)
    torch.testing.assert_close(model.at(theta)(inputs), wider.at(theta[:, C:])(seen))


def test_the_context_begins_at_zero_and_draws_nothing(policy) -> None:
    model, wider = (
        dataclasses.replace(policy, context_size=C),
        dataclasses.replace(policy, observation_size=3 + C),
    )
    theta = model.initial_parameters(KeyedGenerator(1))
    assert (theta[:C] == 0).all()
    assert torch.equal(theta[C:], wider.initial_parameters(KeyedGenerator(1)))


def test_derivatives_by_context_and_weights_against_finite_differences(five_parameters, draw_samples) -> None:
    model = dataclasses.replace(five_parameters, context_size=C)
    batch = draw_samples(model)
    P = model.num_parameters
    theta_M = torch.randn(3, P, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    at = model.derivatives(theta_M, batch.inputs)
    gradient = at.gradient(lambda d: policy_gradient(d, batch))
    product = at.hessian(lambda d: policy_gradient(d, batch))
    u, v = torch.randn(2, 3, P, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    bent = (u * product(v)).sum(1)
    for i in range(3):
        row = batch.rows(slice(i, i + 1))

        def loss(x, row=row) -> float:
            return float(policy_gradient(model.at(x[None])(row.inputs), row))

        torch.testing.assert_close(gradient[i], finite_differences.gradient(loss, theta_M[i]), rtol=1e-7, atol=1e-8)
        assert float(bent[i]) == pytest.approx(
            finite_differences.second_derivative(loss, theta_M[i], u[i], v[i]), rel=1e-5, abs=1e-5
        )
    # The change of the distributions with theta, and its transpose.
    h = 1e-6
    ahead, behind = (model.at(theta_M + sign * h * u)(batch.inputs) for sign in (1, -1))
    forward = at.forward(u)
    for part, one, other in zip(forward, ahead, behind, strict=True):
        torch.testing.assert_close(part, (one - other) / (2 * h), rtol=1e-6, atol=1e-8)
    w = type(forward)(*(torch.randn_like(part) for part in forward))
    inner = sum((one * other).sum() for one, other in zip(w, forward, strict=True))
    torch.testing.assert_close((at.backward(w) * u).sum(), inner)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_inner_loop_moves_the_context_and_the_outer_step_everything_else(policy, batches, steps) -> None:
    algorithm, model, state = made("cavia", policy, context_size=C, inner_steps=steps)
    problem = RecordingProblem(model, batches)
    for actor in list(algorithm.adapt(state, problem, 2))[1:]:
        assert (actor.theta_M[:, :C] != 0).all()
        assert torch.equal(actor.theta_M[:, C:], state["theta"][C:].expand(3, -1))
    problem.drawn.clear()
    for _ in range(3):
        after, metrics = algorithm.update(state, problem)
        assert metrics["line_search/accepted"]
        assert (after["theta"][:C] == 0).all()  # exactly
        assert (after["theta"][C:] != state["theta"][C:]).all()
        assert metrics["inner_kl"] > 0
        # This update's tasks began from theta, with the context zero.
        drawn = problem.drawn[-1 - steps]
        torch.testing.assert_close(drawn.old, model.at(state["theta"].expand(3, -1))(drawn.inputs))
        state = after


def test_tasks_differ_by_their_contexts_alone(policy, batches) -> None:
    """One step from zero: minus alpha times the gradient by the context, in a network that observes it."""
    algorithm, model, state = made("cavia", policy, context_size=C, inner_lr=0.7)
    _, actor = algorithm.adapt(state, GivenProblem(model, batches), 1)
    wider, batch = dataclasses.replace(policy, observation_size=3 + C), batches[0]
    context = torch.zeros(3, C, dtype=torch.float64, requires_grad=True)
    seen = torch.cat([batch.inputs, context[:, None].expand(-1, batch.inputs.shape[1], -1)], dim=-1)
    loss = oracle.plain(wider.at(state["theta"][C:].expand(3, -1))(seen), batch).sum()
    (gradient,) = torch.autograd.grad(loss, context)
    torch.testing.assert_close(actor.theta_M[:, :C], -0.7 * gradient)
    assert len(actor.theta_M[:, 0].unique()) == 3


@pytest.mark.parametrize("steps", [1, 2])
def test_without_a_context_it_is_maml_that_does_not_adapt(policy, batches, steps) -> None:
    algorithm, model, state = made("cavia", policy, context_size=0, inner_steps=steps)
    assert model == policy
    maml, _, same = made("maml", policy, inner_lr=0.0, inner_steps=steps)
    pretrain, _, _ = made("pretrain", policy)
    assert torch.equal(state["theta"], same["theta"])

    def update(each, batches) -> torch.Tensor:
        problem = GivenProblem(model, batches, random=np.random.default_rng(0))
        return each.update(state, problem)[0]["theta"]

    ours = update(algorithm, batches)
    assert not torch.equal(ours, state["theta"])
    torch.testing.assert_close(ours, update(maml, batches), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours, update(pretrain, batches[steps:]), rtol=1e-12, atol=1e-14)
