"""ANIL: the inner loop adapts the head, the outer step moves the whole."""

import dataclasses

import numpy as np
import pytest
import torch

from maml_rl.models.policies import MlpPolicy
from maml_rl.schema.errors import UsageError
from tests.maml_rl.algorithms.through_everything import RecordingProblem, asked_of_a_trust_region, made
from tests.maml_rl.given_problem import GivenProblem

POLICIES = {
    "gaussian": MlpPolicy(3, 2, (6, 5), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 4, (6, 5), "tanh", output_scale=2.0, choices=(4,)),
}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture
def problem(policy, draw_samples) -> GivenProblem:
    return GivenProblem(policy, [draw_samples(policy, num_steps=20, seed=k) for k in range(3)])


def moved(policy, before: torch.Tensor, after: torch.Tensor) -> set[str]:
    """The names of the parameters that differ, of theta [P] or thetas [M, P]."""
    one, other = (policy.unflatten(each.reshape(-1, policy.num_parameters)) for each in (before, after))
    return {name for name in one if not torch.equal(one[name].expand_as(other[name]), other[name])}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"layer2.weight", "layer2.bias"}),
        ({"head_layers": 2}, {"layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias"}),
        ({"adapt_rest": True}, {"layer2.weight", "layer2.bias", "log_std"}),
    ],
)
def test_adaptation_moves_the_head_and_the_outer_step_everything(policy, problem, options, names) -> None:
    algorithm, _, state = made("anil", policy, **options)
    names = names & policy.parameter_shapes.keys()
    for actor in list(algorithm.adapt(state, problem, 2))[1:]:
        assert moved(policy, state["theta"], actor.theta_M) == names
    recorded = RecordingProblem(policy, problem.batches)
    after, metrics = algorithm.update(state, recorded)
    assert moved(policy, state["theta"], after["theta"]) == policy.parameter_shapes.keys()
    assert metrics["inner_kl"] > 0
    # In training too: a log_std that does not adapt is the same for all tasks.
    if not policy.choices:
        before, adapted = (batch.old.log_std for batch in recorded.drawn)
        assert torch.equal(before, adapted) == ("log_std" not in names)


def test_the_outer_gradient_flows_into_the_body_through_the_head_s_step(policy, problem, monkeypatch) -> None:
    """A body without gradient, or a head whose step is taken for a constant, would be another."""
    algorithm, _, state = made("anil", policy, curvature_stride=1)
    question = asked_of_a_trust_region(monkeypatch, algorithm, state, problem)
    parts = policy.unflatten(question.gradient[None])
    assert all(part.norm() > 1e-3 for name, part in parts.items())

    actors = list(algorithm.adapt(state, problem, 1))
    theta_M = actors[1].theta_M.clone().requires_grad_()
    post = problem.batches[1]
    loss = -(post.weights * post.advantages * policy.at(theta_M)(post.inputs).log_prob(post.actions)).sum(1)
    first_order = torch.autograd.grad(loss.mean(), theta_M)[0].sum(0)
    body = [name for name in parts if name.startswith(("layer0", "layer1"))]
    constant = policy.unflatten(first_order[None])
    assert all(not torch.allclose(parts[name], constant[name], rtol=1e-2) for name in body)


@pytest.mark.parametrize("steps", [1, 2])
def test_with_every_layer_in_the_head_it_is_maml(policy, problem, steps) -> None:
    options = {"inner_steps": steps, "curvature_stride": 3}
    algorithm, _, state = made("anil", policy, head_layers=3, adapt_rest=True, **options)
    maml, _, _ = made("maml", policy, **options)
    (ours, metrics), (theirs, expected) = (
        each.update(state, dataclasses.replace(problem, random=np.random.default_rng(0))) for each in (algorithm, maml)
    )
    assert not torch.equal(ours["theta"], state["theta"])
    torch.testing.assert_close(ours["theta"], theirs["theta"], rtol=1e-12, atol=1e-14)
    assert metrics == pytest.approx(expected)
    for one, other in zip(algorithm.adapt(state, problem, 2), maml.adapt(state, problem, 2), strict=True):
        torch.testing.assert_close(one.theta_M, other.theta_M, rtol=1e-14, atol=0)


def test_a_head_has_not_more_layers_than_the_policy(policy) -> None:
    made("anil", policy, head_layers=3)
    with pytest.raises(UsageError, match="--head-layers: got 4, allowed: up to 3"):
        made("anil", policy, head_layers=4)
