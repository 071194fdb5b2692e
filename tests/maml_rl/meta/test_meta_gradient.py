"""The meta-gradient of supervised models against autograd through everything, in float64."""

import pytest
import torch
from torch.nn.functional import one_hot

from maml_rl.meta import inner_loop as inner_loop_module
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_gradient import meta_gradient
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.models.batch_norm_mlp import BatchNormMlp
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.model import chosen_parameters
from maml_rl.models.regressor import MlpRegressor
from tests.maml_rl.given_examples import (
    GivenExamples,
    adapted_by_autograd,
    examples,
    negative_log_likelihood,
    of_the_last,
)

M, N, D = 3, 6, torch.float64
CONV = ConvClassifier(3, (1, 7, 7), filters=4, blocks=2)
MODELS = {
    "conv": CONV,
    "conv-pool-flat": ConvClassifier(3, (1, 7, 7), filters=4, blocks=2, halved_by="max_pool", features="flat"),
    "batch-norm-mlp": BatchNormMlp(3, 49, (6, 5)),
    "regressor": MlpRegressor(49, 3, (6, 5), "tanh"),
}


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def given(name: str, steps: int) -> GivenExamples:
    """A problem with batches of random examples for a number of inner steps."""
    batches = []
    for k in range(steps + 1):
        images, targets = drawn(M, N, 1, 7, 7, seed=k), drawn(M, N, 3, seed=10 + k)
        if name == "regressor":
            batches.append(examples(images.flatten(2), targets))
        else:
            batches.append(examples(images, one_hot(targets.argmax(dim=-1), 3).double()))
    return GivenExamples(MODELS[name], batches)


@pytest.fixture(params=MODELS)
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("first_order", [False, True], ids=["second-order", "first-order"])
@pytest.mark.parametrize("steps", [1, 2])
def test_is_autograd_through_everything(name: str, steps: int, first_order: bool) -> None:
    model, problem = MODELS[name], given(name, steps)
    theta = 0.5 * drawn(model.num_parameters, seed=3)
    inner = Inner(negative_log_likelihood, 0.4, steps, first_order)
    result = meta_gradient(problem, inner_loop(problem, theta, inner), inner, of_the_last)

    leaf = theta.clone().requires_grad_()
    last = adapted_by_autograd(model, leaf, 0.4, problem.batches, first_order)
    loss = negative_log_likelihood(last, problem.batches[-1]).mean()
    (expected,) = torch.autograd.grad(loss, leaf)
    assert result.loss == pytest.approx(float(loss.detach()), rel=1e-12)
    torch.testing.assert_close(result.gradient, expected, rtol=1e-9, atol=1e-12)


def test_derivatives_that_are_kept_are_those_computed_anew(name: str, monkeypatch) -> None:
    problem, theta = given(name, 2), 0.5 * drawn(MODELS[name].num_parameters, seed=3)
    inner, results = Inner(negative_log_likelihood, 0.4, 2), []
    for rows in (inner_loop_module.KEPT_ROWS, 0):
        monkeypatch.setattr(inner_loop_module, "KEPT_ROWS", rows)
        path = inner_loop(problem, theta, inner)
        assert len(path.kept) == (2 if rows else 0)
        results += [meta_gradient(problem, path, inner, of_the_last) for _ in range(2)]
        assert not path.kept  # the second time all are computed anew
    for other in results[1:]:
        assert other.loss == results[0].loss
        assert torch.equal(other.gradient, results[0].gradient)


def test_leaves_shifts_out_of_the_inner_loop_and_not_out_of_the_outer_step() -> None:
    problem, theta = given("conv", 1), 0.5 * drawn(CONV.num_parameters, seed=3)
    adapted = 1 - chosen_parameters(CONV, CONV.shifts, theta)
    inner = Inner(negative_log_likelihood, 0.4 * adapted, 1)
    path = inner_loop(problem, theta, inner)
    kept = adapted == 0
    assert torch.equal(path.thetas_M[-1][:, kept], theta.expand(M, -1)[:, kept])
    leaf = theta.clone().requires_grad_()
    last = adapted_by_autograd(CONV, leaf, 0.4 * adapted, problem.batches, first_order=False)
    (expected,) = torch.autograd.grad(negative_log_likelihood(last, problem.batches[-1]).mean(), leaf)
    gradient = meta_gradient(problem, path, inner, of_the_last).gradient
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)
    assert (gradient[kept] != 0).all()


def test_the_curvature_is_the_hessian_of_the_kl(name: str) -> None:
    """So that a trust region fits each of the models."""
    model, problem = MODELS[name], given(name, 1)
    theta, v = 0.5 * drawn(model.num_parameters, seed=3), drawn(model.num_parameters, seed=4)
    inner = Inner(negative_log_likelihood, 0.4, 1)
    objective = meta_objective(problem, inner_loop(problem, theta, inner), inner, of_the_last)

    def kl(point: torch.Tensor) -> torch.Tensor:
        new = adapted_by_autograd(model, point, 0.4, problem.batches, first_order=False)
        return (problem.batches[-1].weights * old.kl_to(new)).sum(dim=1).mean()

    leaf = theta.clone().requires_grad_()
    last = adapted_by_autograd(model, leaf, 0.4, problem.batches, first_order=False)
    old = type(last)(*(part.detach() for part in last))
    (slope,) = torch.autograd.grad(kl(leaf), leaf, create_graph=True)
    (expected,) = torch.autograd.grad(slope @ v, leaf)
    torch.testing.assert_close(objective.fisher_vector_product(v), expected, rtol=1e-8, atol=1e-11)
    assert objective.evaluate(theta) == pytest.approx((objective.loss, 0.0), abs=1e-12)
