"""What every algorithm is made of, against plain autograd through the whole of it, in float64.

The outer losses are those of the algorithms that the field compares: of one distribution or of all, at the point that
drew the batches or beyond it, with one step size or one for each parameter.
"""

import pytest
import torch

from maml_rl.meta.inner_loop import Inner, Path, inner_loop, inner_step
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.models.distributions import with_parts
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import importance_ratio, policy_gradient
from tests.maml_rl.given_problem import GivenProblem

M, D = 3, torch.float64
POLICY = MlpPolicy(3, 2, (6, 5), "tanh")
P = POLICY.num_parameters
RETURNS = torch.tensor([0.3, -1.2, 0.8], dtype=D)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(seed))


def of_last_layer() -> torch.Tensor:
    """[P]: 1 for the parameters behind the last hidden layer, 0 for the others."""
    parts = [
        torch.full((torch.Size(shape).numel(),), float(name.startswith("layer2") or name == "log_std"), dtype=D)
        for name, shape in POLICY.parameter_shapes.items()
    ]
    return torch.cat(parts)


def ratio_loss(distribution, batch):
    """A surrogate that is not at its start in a later epoch."""
    ratio = (distribution.log_prob(batch.actions) - batch.old.log_prob(batch.actions)).exp()
    return -(batch.weights * batch.advantages * ratio).sum(1)


def likelihood(distribution, batch):
    """Supervised: no advantages."""
    return -(batch.weights * distribution.log_prob(batch.actions)).sum(1)


def e_maml(distributions, batches):
    credit = (batches[0].weights * distributions[0].log_prob(batches[0].actions)).sum(1)
    return importance_ratio(distributions, batches) - RETURNS * credit


def promp(distributions, batches):
    new, batch = distributions[-1], batches[-1]
    ratio, advantages = (new.log_prob(batch.actions) - batch.old.log_prob(batch.actions)).exp(), batch.advantages
    clipped = -(batch.weights * torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)).sum(1)
    earlier = zip(distributions[:-1], batches[:-1], strict=True)
    return clipped + 0.05 * sum((b.weights * b.old.kl_to(d)).sum(1) for d, b in earlier)


# inner loss, outer loss, alpha, and how far from the point that drew the batches
CASES = {
    "maml": (policy_gradient, importance_ratio, 0.3, 0.0),
    "e-maml": (policy_gradient, e_maml, 0.3, 0.0),
    "anil": (policy_gradient, importance_ratio, 0.3 * of_last_layer(), 0.0),
    "meta-sgd": (policy_gradient, importance_ratio, 0.3 * normal(P, seed=5).abs(), 0.0),
    "promp, a later epoch": (ratio_loss, promp, 0.1, 0.05),
    "supervised": (likelihood, lambda ds, bs: likelihood(ds[-1], bs[-1]), 0.1, 0.0),
}


@pytest.fixture(params=[1, 2], ids=["K=1", "K=2"])
def problem(request, draw_samples) -> GivenProblem:
    return GivenProblem(POLICY, [draw_samples(POLICY, seed=k) for k in range(request.param + 1)])


@pytest.fixture(params=CASES)
def case(request, problem):
    """The problem, the outer loss, the inner loop with alpha as a vector that is learned, theta, and the path there."""
    loss, outer_loss, alpha, beyond = CASES[request.param]
    alpha = alpha * torch.ones(P, dtype=D)
    theta = 0.5 * normal(P, seed=1)
    inner = Inner(loss, alpha, len(problem.batches) - 1, learns_alpha=True)
    path = inner_loop(problem, theta, inner)
    if beyond:  # the batches stay, the parameters have moved
        theta = theta + beyond * normal(P, seed=2)
        thetas_M = [theta.expand(M, -1)]
        for batch in path.batches[:-1]:
            thetas_M.append(inner_step(POLICY, thetas_M[-1], batch, loss, alpha))
        path = Path(thetas_M, path.batches)
    return problem, outer_loss, inner, theta, path


def distributions_at(point: torch.Tensor, inner: Inner, batches) -> list:
    """K + 1 distributions as a function of theta and alpha, by autograd through the inner loop."""
    theta, alpha = point.tensor_split(2)
    theta_M, distributions = theta.expand(M, -1), []
    for batch in batches[:-1]:
        distributions.append(POLICY.at(theta_M)(batch.inputs))
        (gradient,) = torch.autograd.grad(inner.loss(distributions[-1], batch).sum(), theta_M, create_graph=True)
        theta_M = theta_M - alpha * gradient
    return [*distributions, POLICY.at(theta_M)(batches[-1].inputs)]


def test_gradient_by_theta_and_by_alpha(case) -> None:
    problem, outer_loss, inner, theta, path = case
    objective = meta_objective(problem, path, inner, outer_loss)
    point = torch.cat([theta, inner.alpha]).requires_grad_()
    loss = outer_loss(distributions_at(point, inner, path.batches), path.batches).mean()
    (expected,) = torch.autograd.grad(loss, point)
    assert objective.loss == pytest.approx(float(loss.detach()), abs=1e-12)
    torch.testing.assert_close(objective.gradient, expected, rtol=1e-9, atol=1e-12)


def test_fisher_vector_product_by_theta_and_by_alpha(case) -> None:
    """It is the Hessian of the KL through the adaptation, of theta and alpha together."""
    problem, outer_loss, inner, theta, path = case
    objective = meta_objective(problem, path, inner, outer_loss)
    point, v = torch.cat([theta, inner.alpha]), normal(2 * P, seed=3)
    old, last = POLICY.at(path.thetas_M[-1])(path.batches[-1].inputs), path.batches[-1]
    fixed = with_parts(old, [part.detach() for part in old])

    def kl(x: torch.Tensor) -> torch.Tensor:
        return (last.weights * fixed.kl_to(distributions_at(x, inner, path.batches)[-1])).sum(1).mean()

    _, expected = torch.autograd.functional.hvp(kl, point, v)
    torch.testing.assert_close(objective.fisher_vector_product(v), expected, rtol=1e-7, atol=1e-9)


def test_evaluation_moves_theta_and_alpha(case) -> None:
    problem, outer_loss, inner, theta, path = case
    objective = meta_objective(problem, path, inner, outer_loss)
    point = torch.cat([theta, inner.alpha]) + 0.05 * normal(2 * P, seed=4)
    distributions = distributions_at(point.clone().requires_grad_(), inner, path.batches)
    loss, kl = objective.evaluate(point)
    assert loss == pytest.approx(float(outer_loss(distributions, path.batches).mean().detach()), rel=1e-9)
    old, last = POLICY.at(path.thetas_M[-1])(path.batches[-1].inputs), path.batches[-1]
    assert kl == pytest.approx(float((last.weights * old.kl_to(distributions[-1])).sum(1).mean().detach()), rel=1e-9)


def test_an_alpha_that_is_not_learned_leaves_the_part_of_theta(case) -> None:
    problem, outer_loss, inner, _, path = case
    fixed = Inner(inner.loss, inner.alpha, inner.steps)
    learned = meta_objective(problem, path, inner, outer_loss)
    plain = meta_objective(problem, path, fixed, outer_loss)
    torch.testing.assert_close(plain.gradient, learned.gradient[:P])
    v = normal(P, seed=3)
    both = learned.fisher_vector_product(torch.cat([v, torch.zeros_like(v)]))[:P]
    torch.testing.assert_close(plain.fisher_vector_product(v), both)
