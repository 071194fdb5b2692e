import torch

from maml_rl.meta import task_mean
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.rl.losses import policy_gradient
from tests.maml_rl import finite_differences
from tests.maml_rl.given_problem import GivenProblem
from tests.maml_rl.meta.test_meta_objective import adapt, inner_loss


def inner_gradient(policy, theta_M, batch) -> torch.Tensor:
    """By the model's own derivatives."""
    return policy.derivatives(theta_M, batch.inputs).gradient(lambda d: policy_gradient(d, batch))


def test_inner_loss_is_minus_the_weighted_mean_of_log_prob_times_advantage(
    five_parameters, draw_samples, theta
) -> None:
    samples = draw_samples(five_parameters)
    loss = inner_loss(five_parameters, theta.expand(3, -1), samples)
    for i in range(3):
        total = 0.0
        valid = samples.weights[i] > 0
        for o, a, A in zip(
            samples.inputs[i, valid], samples.actions[i, valid], samples.advantages[i, valid], strict=True
        ):
            mean = torch.tanh(o * theta[0] + theta[1]) * theta[2] + theta[3]
            total += torch.distributions.Normal(mean, theta[4].exp()).log_prob(a).item() * A.item()
        torch.testing.assert_close(loss[i].item(), -total / int(valid.sum()))


def test_inner_gradient_against_finite_differences(five_parameters, draw_samples, theta) -> None:
    samples = draw_samples(five_parameters)
    gradient = inner_gradient(five_parameters, theta.expand(3, -1), samples)
    for i in range(3):
        expected = finite_differences.gradient(
            lambda x, i=i: inner_loss(five_parameters, x.expand(3, -1), samples)[i].item(), theta
        )
        torch.testing.assert_close(gradient[i], expected, rtol=1e-7, atol=1e-9)


def test_each_step_uses_its_own_batch_at_its_own_parameters(five_parameters, draw_samples, theta) -> None:
    batches = [draw_samples(five_parameters, seed=seed) for seed in range(2)]
    theta_M = theta.expand(3, -1)
    for batch in batches:
        theta_M = theta_M - 0.3 * inner_gradient(five_parameters, theta_M, batch)
    adapted = adapt(five_parameters, theta.expand(3, -1), batches, inner_lr=0.3)
    torch.testing.assert_close(adapted, theta_M)
    assert not adapted.requires_grad
    assert torch.equal(adapt(five_parameters, theta.expand(3, -1), batches, inner_lr=0.0), theta.expand(3, -1))


def test_the_path_is_drawn_step_by_step(five_parameters, draw_samples, theta) -> None:
    """Each batch is drawn with the parameters of its step, and the last with the adapted ones."""
    problem = GivenProblem(five_parameters, [draw_samples(five_parameters, seed=seed) for seed in range(3)])
    path = inner_loop(problem, theta, Inner(policy_gradient, 0.3, steps=2))
    for k in range(3):
        expected = adapt(five_parameters, theta.expand(3, -1), problem.batches[:k], 0.3)
        torch.testing.assert_close(path.thetas_M[k], expected)
        old = five_parameters.at(expected)(problem.batches[k].inputs)
        torch.testing.assert_close(path.batches[k].old, old)


def test_a_step_size_of_each_parameter(five_parameters, draw_samples, theta) -> None:
    batch, alpha = draw_samples(five_parameters), torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4], dtype=theta.dtype)
    adapted = adapt(five_parameters, theta.expand(3, -1), [batch], alpha)
    gradient = inner_gradient(five_parameters, theta.expand(3, -1), batch)
    torch.testing.assert_close(adapted, theta - alpha * gradient)


def test_chunks_of_tasks_adapt_like_all_at_once(five_parameters, draw_samples, theta, monkeypatch) -> None:
    batches = [draw_samples(five_parameters, num_tasks=5)]
    together = adapt(five_parameters, theta.expand(5, -1), batches, inner_lr=0.3)
    monkeypatch.setattr(task_mean, "CACHE_ROWS", 14)
    torch.testing.assert_close(adapt(five_parameters, theta.expand(5, -1), batches, inner_lr=0.3), together)


def test_a_step_makes_good_actions_likelier(five_parameters, draw_samples, theta) -> None:
    samples = draw_samples(five_parameters)
    adapted = adapt(five_parameters, theta.expand(3, -1), [samples], inner_lr=1e-3)
    before = inner_loss(five_parameters, theta.expand(3, -1), samples)
    assert (inner_loss(five_parameters, adapted, samples) < before).all()
