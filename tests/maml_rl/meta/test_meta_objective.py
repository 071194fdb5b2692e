import dataclasses

import pytest
import torch

from maml_rl.meta import task_mean
from maml_rl.meta.inner_loop import Inner, inner_loop, inner_step
from maml_rl.meta.meta_objective import MetaObjective, meta_objective
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import importance_ratio, policy_gradient
from tests.maml_rl import finite_differences
from tests.maml_rl.given_problem import GivenProblem

INNER_LR = 0.3


def objective_at(policy, theta, batches, post, inner_lr, stride=1, first=0) -> MetaObjective:
    """The meta-objective around theta [P]."""
    problem = GivenProblem(policy, [*batches, post])
    inner = Inner(policy_gradient, inner_lr, len(batches))
    path = inner_loop(problem, theta, inner)
    return meta_objective(problem, path, inner, importance_ratio, stride, first)


def adapt(policy, theta_M, batches, inner_lr) -> torch.Tensor:
    for batch in batches:
        theta_M = inner_step(policy, theta_M, batch, policy_gradient, inner_lr)
    return theta_M


def inner_loss(policy, theta_M, batch) -> torch.Tensor:
    return policy_gradient(policy.at(theta_M)(batch.inputs), batch)


@pytest.fixture(params=[1, 2], ids=["K=1", "K=2"])
def batches(request, five_parameters, draw_samples):
    return [draw_samples(five_parameters, seed=10 + k) for k in range(request.param)]


@pytest.fixture
def post(five_parameters, draw_samples):
    return draw_samples(five_parameters, seed=20)


def test_meta_gradient_against_finite_differences(five_parameters, batches, post, theta) -> None:
    objective = objective_at(five_parameters, theta, batches, post, INNER_LR)
    # The third derivative is large with two inner steps: h is smaller than usual to keep its error below the rounding.
    expected = finite_differences.gradient(lambda x: objective.evaluate(x)[0], theta, h=1e-6)
    torch.testing.assert_close(objective.gradient, expected, rtol=1e-7, atol=1e-9)


def test_fisher_vector_product_against_finite_differences_of_the_kl(five_parameters, batches, post, theta) -> None:
    objective = objective_at(five_parameters, theta, batches, post, INNER_LR)
    expected = finite_differences.hessian(lambda x: objective.evaluate(x)[1], theta)
    product = torch.stack([objective.fisher_vector_product(e) for e in torch.eye(5, dtype=theta.dtype)])
    torch.testing.assert_close(product, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(product, product.mT, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("choices", [(3,), (2, 3)], ids=str)
def test_a_categorical_policy_against_finite_differences(draw_samples, choices) -> None:
    policy = MlpPolicy(1, sum(choices), (), choices=choices)  # a weight and a bias for each logit
    before, after = [draw_samples(policy, seed=10)], draw_samples(policy, seed=20)
    theta = torch.tensor([0.7, -0.2, 0.9, 0.1, -0.3, 0.4, 0.5, -0.6, 0.2, -0.1], dtype=torch.float64)
    theta = theta[: policy.num_parameters]
    objective = objective_at(policy, theta, before, after, INNER_LR)
    gradient = finite_differences.gradient(lambda x: objective.evaluate(x)[0], theta)
    torch.testing.assert_close(objective.gradient, gradient, rtol=1e-7, atol=1e-9)
    fisher = finite_differences.hessian(lambda x: objective.evaluate(x)[1], theta)
    product = torch.stack([objective.fisher_vector_product(e) for e in torch.eye(len(theta), dtype=theta.dtype)])
    torch.testing.assert_close(product, fisher, rtol=1e-5, atol=1e-6)


def test_surrogate_and_kl_against_torch_distributions(five_parameters, batches, post, theta) -> None:
    objective = objective_at(five_parameters, theta, batches, post, INNER_LR)
    candidate = theta + torch.tensor([0.1, -0.2, 0.05, 0.1, 0.1], dtype=theta.dtype)

    def distribution(parameters: torch.Tensor) -> torch.distributions.Normal:
        adapted = adapt(five_parameters, parameters.expand(3, -1), batches, INNER_LR)
        gaussian = five_parameters.at(adapted)(post.inputs)
        return torch.distributions.Normal(gaussian.mean, gaussian.log_std.exp())

    old, new = distribution(theta), distribution(candidate)
    ratio = (new.log_prob(post.actions) - old.log_prob(post.actions)).exp()[..., 0]
    kl = torch.distributions.kl_divergence(old, new)[..., 0]
    expected = [-(post.weights * post.advantages * ratio).sum() / 3, (post.weights * kl).sum() / 3]
    torch.testing.assert_close(torch.tensor(objective.evaluate(candidate)), torch.stack(expected).float())
    at_start = objective.evaluate(theta)
    assert at_start[0] == pytest.approx(-(post.weights * post.advantages).sum().item() / 3)
    assert at_start[1] == pytest.approx(0, abs=1e-15)


def test_without_an_inner_step_size_it_is_the_plain_policy_gradient(five_parameters, batches, post, theta) -> None:
    objective = objective_at(five_parameters, theta, batches, post, 0.0)
    leaf = theta.clone().requires_grad_()
    inner_loss(five_parameters, leaf.expand(3, -1), post).mean().backward()
    torch.testing.assert_close(objective.gradient, leaf.grad)


def test_three_tasks_at_once_equal_three_runs_of_one(five_parameters, batches, post, theta) -> None:
    v = torch.tensor([1.0, -2.0, 0.5, 0.3, -1.0], dtype=theta.dtype)
    together = objective_at(five_parameters, theta, batches, post, INNER_LR)
    alone = [
        objective_at(
            five_parameters,
            theta,
            [batch.rows(slice(i, i + 1)) for batch in batches],
            post.rows(slice(i, i + 1)),
            INNER_LR,
        )
        for i in range(3)
    ]
    torch.testing.assert_close(together.gradient, torch.stack([each.gradient for each in alone]).mean(dim=0))
    products = torch.stack([each.fisher_vector_product(v) for each in alone])
    torch.testing.assert_close(together.fisher_vector_product(v), products.mean(dim=0))


def test_chunks_of_tasks_equal_all_at_once(five_parameters, batches, post, theta, monkeypatch) -> None:
    def values():
        objective = objective_at(five_parameters, theta, batches, post, INNER_LR)
        return objective.gradient, objective.fisher_vector_product(theta), objective.evaluate(0.9 * theta)

    together = values()
    monkeypatch.setattr(task_mean, "CACHE_ROWS", 14)
    for chunked, whole in zip(values(), together, strict=True):
        torch.testing.assert_close(chunked, whole)


def test_curvature_on_a_part_of_the_steps_is_that_of_these_steps_alone(five_parameters, batches, post, theta) -> None:
    whole = objective_at(five_parameters, theta, batches, post, INNER_LR)
    part = objective_at(five_parameters, theta, batches, post, INNER_LR, stride=2, first=1)
    assert torch.equal(part.gradient, whole.gradient)
    assert part.evaluate(0.9 * theta) == whole.evaluate(0.9 * theta)
    assert not torch.allclose(part.fisher_vector_product(theta), whole.fisher_vector_product(theta))
    # If the adapted policies are the same, it is the curvature of every second step as samples in their own right.
    second = objective_at(five_parameters, theta, [b.every(2, 1) for b in batches], post.every(2, 1), 0.0)
    same = objective_at(five_parameters, theta, batches, post, 0.0, stride=2, first=1)
    torch.testing.assert_close(same.fisher_vector_product(theta), second.fisher_vector_product(theta))


def test_weightless_steps_change_nothing(five_parameters, batches, post, theta) -> None:
    def with_garbage(samples):
        outside = samples.weights == 0
        return dataclasses.replace(samples, advantages=samples.advantages.masked_fill(outside, 1e6))

    clean = objective_at(five_parameters, theta, batches, post, INNER_LR)
    dirty = objective_at(five_parameters, theta, [with_garbage(b) for b in batches], with_garbage(post), INNER_LR)
    assert torch.equal(clean.gradient, dirty.gradient)
    assert torch.equal(clean.fisher_vector_product(theta), dirty.fisher_vector_product(theta))
    assert clean.evaluate(0.9 * theta) == dirty.evaluate(0.9 * theta)


def test_agrees_with_double_backward_through_the_whole_objective(draw_samples) -> None:
    """A ReLU policy of several actions, against autograd through adaptation, surrogate and KL in one graph."""
    policy = MlpPolicy(3, 2, (6, 5))
    theta = torch.randn(policy.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before, post = draw_samples(policy, seed=1), draw_samples(policy, seed=2)
    objective = objective_at(policy, theta, [before], post, INNER_LR)
    old = policy.at(adapt(policy, theta.expand(3, -1), [before], INNER_LR))(post.inputs)

    def surrogate_and_kl(x: torch.Tensor) -> torch.Tensor:
        theta_M = x.expand(3, -1)
        (step,) = torch.autograd.grad(inner_loss(policy, theta_M, before).sum(), theta_M, create_graph=True)
        new = policy.at(theta_M - INNER_LR * step)(post.inputs)
        ratio = (new.log_prob(post.actions) - old.log_prob(post.actions)).exp()
        loss = -(post.weights * post.advantages * ratio).sum() / 3
        return torch.stack([loss, (post.weights * old.kl_to(new)).sum() / 3])

    jacobian = torch.autograd.functional.jacobian(surrogate_and_kl, theta)
    torch.testing.assert_close(objective.gradient, jacobian[0], rtol=1e-9, atol=1e-12)
    v = torch.randn(policy.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    _, expected = torch.autograd.functional.hvp(lambda x: surrogate_and_kl(x)[1], theta, v)
    torch.testing.assert_close(objective.fisher_vector_product(v), expected, rtol=1e-7, atol=1e-10)


def test_the_loss_around_theta_is_that_of_theta(five_parameters, batches, post, theta) -> None:
    objective = objective_at(five_parameters, theta, batches, post, INNER_LR)
    loss, kl = objective.evaluate(theta)
    assert objective.loss == pytest.approx(loss, abs=1e-12)
    assert kl == pytest.approx(0, abs=1e-12)


def test_the_products_are_those_of_the_first_again(five_parameters, batches, post, theta, monkeypatch) -> None:
    """What they need of the data is made at the first product, and kept."""
    monkeypatch.setattr(task_mean, "CACHE_ROWS", 7)  # one task at once
    objective = objective_at(five_parameters, theta, batches, post, INNER_LR)
    first = objective.fisher_vector_product(theta)
    objective.fisher_vector_product(2 * theta)
    assert torch.equal(objective.fisher_vector_product(theta), first)
