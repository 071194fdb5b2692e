"""The three inner losses: one gradient, three Hessians; LVC's and DiCE's against what they estimate."""

import dataclasses
from itertools import product

import pytest
import torch

from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.models.distributions import Categorical
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import ESTIMATORS, importance_ratio
from maml_rl.rl.samples import Samples
from tests.maml_rl.algorithms import through_everything as oracle
from tests.maml_rl.algorithms.through_everything import RecordingProblem, asked_of_a_trust_region, made
from tests.maml_rl.given_problem import GivenProblem

M, N = 3, 14
POLICIES = {
    "gaussian": MlpPolicy(3, 2, (3,), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 3, (3,), "tanh", output_scale=2.0, choices=(3,)),
}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture
def theta_M(policy) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.5 * torch.randn(M, policy.num_parameters, generator=generator, dtype=torch.float64)


@pytest.fixture
def batch(policy, theta_M, draw_samples) -> Samples:
    batch = draw_samples(policy, num_steps=N)
    return dataclasses.replace(batch, old=policy.at(theta_M)(batch.inputs))


def hessian(policy, theta_M, batch, loss) -> torch.Tensor:
    """[M, P, P], by the model's own products."""
    product = policy.derivatives(theta_M, batch.inputs).hessian(lambda d: loss(d, batch))
    P = policy.num_parameters
    return torch.stack([product(e.expand(M, -1)) for e in torch.eye(P, dtype=theta_M.dtype)], dim=2)


def hessian_by_autograd(policy, theta_M, batch, loss) -> torch.Tensor:
    return torch.stack(
        [
            torch.autograd.functional.hessian(
                lambda x, i=i: loss(
                    policy.at(x[None])(batch.rows(slice(i, i + 1)).inputs), batch.rows(slice(i, i + 1))
                )[0],
                theta_M[i],
            )
            for i in range(M)
        ]
    )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_gradient_where_the_batch_was_drawn_is_the_policy_gradient(name, policy, theta_M, batch) -> None:
    leaf = theta_M.clone().requires_grad_()
    (expected,) = torch.autograd.grad(oracle.plain(policy.at(leaf)(batch.inputs), batch).sum(), leaf)
    gradient = policy.derivatives(theta_M, batch.inputs).gradient(lambda d: ESTIMATORS[name].loss(d, batch))
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-13)
    thinned = batch.every(3, 1)
    plain, other = (
        policy.derivatives(theta_M, thinned.inputs).gradient(lambda d, loss=loss: loss(d, thinned))
        for loss in (ESTIMATORS["plain"].loss, ESTIMATORS[name].loss)
    )
    torch.testing.assert_close(other, plain, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_hessian_against_autograd(name, policy, theta_M, batch) -> None:
    found = hessian(policy, theta_M, batch, ESTIMATORS[name].loss)
    expected = hessian_by_autograd(policy, theta_M, batch, oracle.INNER[name])
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-11)
    torch.testing.assert_close(found, found.mT)


def test_lvc_adds_the_outer_products_of_each_step_s_gradient(policy, theta_M, batch) -> None:
    """H1 of Rothfuss et al. 2019, eq. 9: and nothing else."""
    plain, lvc = (hessian(policy, theta_M, batch, ESTIMATORS[name].loss) for name in ("plain", "lvc"))
    for i in range(M):
        row = batch.rows(slice(i, i + 1))
        scores = torch.autograd.functional.jacobian(
            lambda x, row=row: oracle.log_prob(policy.at(x[None])(row.inputs), row.actions)[0], theta_M[i]
        )
        expected = -torch.einsum("n,np,nq->pq", (row.weights * row.advantages)[0], scores, scores)
        assert expected.norm() > 0.1 * plain[i].norm()
        torch.testing.assert_close(lvc[i] - plain[i], expected, rtol=1e-8, atol=1e-10)


def test_lvc_divides_by_the_policy_that_played_and_not_by_itself(policy, theta_M, batch) -> None:
    """Elsewhere its gradient is that of the ratio, which exp(lp - stopped(lp)) has not."""
    beyond = (theta_M + 0.1).requires_grad_()
    (expected,) = torch.autograd.grad(oracle.lvc(policy.at(beyond)(batch.inputs), batch).sum(), beyond)
    gradient = policy.derivatives(beyond.detach(), batch.inputs).gradient(lambda d: ESTIMATORS["lvc"].loss(d, batch))
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-13)
    (stopped,) = torch.autograd.grad(oracle.plain(policy.at(beyond)(batch.inputs), batch).sum(), beyond)
    assert not torch.allclose(gradient, stopped, rtol=0.01)


def test_dice_knows_its_episodes(policy, theta_M, batch) -> None:
    """With one step each it is LVC; an episode does not reach into its neighbour."""
    alone = dataclasses.replace(batch, episodes=torch.arange(N).expand(M, -1))
    for name, found in (("lvc", alone), ("dice", batch)):
        close = torch.allclose(
            hessian(policy, theta_M, found, ESTIMATORS["dice"].loss),
            hessian(policy, theta_M, batch, ESTIMATORS[name].loss),
        )
        assert close
    halves = dataclasses.replace(alone, episodes=(torch.arange(N) >= N // 2).long().expand(M, -1))
    first, last = slice(0, N // 2), slice(N // 2, N)

    def half(steps: slice) -> Samples:
        old = type(batch.old)(*(p[:, steps] if p.shape[1] == N else p for p in batch.old))
        tensors = {name: getattr(batch, name)[:, steps] for name in ("inputs", "actions", "advantages", "weights")}
        return dataclasses.replace(batch, **tensors, old=old, episodes=torch.zeros(M, N // 2, dtype=torch.int64))

    together = hessian(policy, theta_M, halves, ESTIMATORS["dice"].loss)
    apart = sum(hessian(policy, theta_M, half(steps), ESTIMATORS["dice"].loss) for steps in (first, last))
    torch.testing.assert_close(together, apart)
    one = dataclasses.replace(batch, episodes=torch.zeros(M, N, dtype=torch.int64))
    assert not torch.allclose(hessian(policy, theta_M, one, ESTIMATORS["dice"].loss), together)


def test_dice_of_every_nth_step_counts_those_left_out(five_parameters, draw_samples) -> None:
    """If every step is played n times, every n-th of them has the Hessian of all but for the steps' own products.

    These count n times within the group of copies in the whole, and once in the part: what is left is compared.
    """
    theta_M = torch.tensor([[0.7, -0.2, 0.9, 0.1, -0.3]], dtype=torch.float64).expand(M, -1)
    batch, n = draw_samples(five_parameters, num_steps=6), 3
    copies = dataclasses.replace(
        batch,
        **{
            name: getattr(batch, name).repeat_interleave(n, dim=1)
            for name in ("inputs", "actions", "advantages", "episodes")
        },
        weights=batch.weights.repeat_interleave(n, dim=1) / n,
    )
    part = copies.every(n)
    assert part.stride == n
    assert part.rows(slice(0, 1)).stride == n
    assert part.every(2).stride == 2 * n
    thinned = hessian(five_parameters, theta_M, part, ESTIMATORS["dice"].loss)
    whole = hessian(five_parameters, theta_M, copies, ESTIMATORS["dice"].loss)
    plain = hessian(five_parameters, theta_M, copies, ESTIMATORS["plain"].loss)
    own = hessian(
        five_parameters, theta_M, dataclasses.replace(copies, old=old_of(theta_M, copies)), ESTIMATORS["lvc"].loss
    )
    # Among n copies the j-th has j earlier ones: (n - 1) / 2 on average, each counted twice.
    torch.testing.assert_close(whole, thinned + (n - 1) * (own - plain))
    assert not torch.allclose(whole, thinned)


def old_of(theta_M, batch):
    return MlpPolicy(1, 1, (1,), "tanh").at(theta_M)(batch.inputs)


# ---- every course of a small process, with its probability

H, A = 3, 2


@pytest.fixture
def every_course():
    """A policy, theta, the batches of all A^H courses as tasks [A^H], and the exact return as a function of theta.

    An episode of H steps; an observation is drawn for each history of actions, and so is a reward.
    """
    policy = MlpPolicy(2, A, (3,), "tanh", choices=(A,))
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    histories = [history for t in range(H + 1) for history in product(range(A), repeat=t)]
    observations, values, rewards = ({h: normal(size) for h in histories} for size in (2, 1, 1))
    courses = list(product(range(A), repeat=H))
    inputs = torch.stack([torch.stack([observations[c[:t]] for t in range(H)]) for c in courses])
    r = torch.stack([torch.cat([rewards[c[: t + 1]] for t in range(H)]) for c in courses])
    baseline = torch.stack([torch.cat([values[c[:t]] for t in range(H)]) for c in courses])
    actions = torch.nn.functional.one_hot(torch.tensor(courses), A).double()
    advantages = r.flip(1).cumsum(1).flip(1) - baseline
    theta = normal(policy.num_parameters)
    C = len(courses)
    old = policy.at(theta.expand(C, -1))(inputs)
    weights = torch.full((C, H), 1 / H, dtype=torch.float64)
    batch = Samples(inputs, actions, advantages, weights, old, torch.zeros(C, H, dtype=torch.int64))

    def probabilities(x: torch.Tensor) -> torch.Tensor:
        distribution = policy.at(x.expand(C, -1))(inputs)
        assert isinstance(distribution, Categorical)
        return (distribution.logits.log_softmax(-1) * actions).sum((1, 2)).exp()

    return policy, theta, batch, probabilities, lambda x: probabilities(x) @ r.sum(1)


def expected_hessian(name: str, policy, theta, batch, probabilities) -> torch.Tensor:
    C = len(batch.weights)
    product = policy.derivatives(theta.expand(C, -1), batch.inputs).hessian(lambda d: ESTIMATORS[name].loss(d, batch))
    columns = [product(e.expand(C, -1)) for e in torch.eye(len(theta), dtype=theta.dtype)]
    return -H * torch.stack([probabilities(theta) @ column for column in columns], dim=1)


def test_dice_is_unbiased_and_the_others_are_not(every_course) -> None:
    policy, theta, batch, probabilities, exact_return = every_course
    assert float(probabilities(theta).sum()) == pytest.approx(1)
    gradient = torch.autograd.functional.jacobian(exact_return, theta)
    by_course = policy.derivatives(theta.expand(len(batch.weights), -1), batch.inputs)
    exact = torch.autograd.functional.hessian(exact_return, theta)
    for name in ESTIMATORS:
        of_loss = by_course.gradient(lambda d, name=name: ESTIMATORS[name].loss(d, batch))
        torch.testing.assert_close(-H * probabilities(theta) @ of_loss, gradient, rtol=1e-9, atol=1e-12)
        error = (expected_hessian(name, policy, theta, batch, probabilities) - exact).norm() / exact.norm()
        assert (error < 1e-10) if name == "dice" else (error > 0.05), name


# ---- the algorithms that take them


@pytest.mark.parametrize("name", ["lvc", "dice"])
@pytest.mark.parametrize("steps", [1, 2])
def test_they_are_maml_with_another_inner_loss(name, policy, steps, draw_samples, monkeypatch) -> None:
    batches = [draw_samples(policy, num_steps=20, seed=k) for k in range(steps + 1)]
    options = {"inner_steps": steps}
    questions = []
    for algorithm, own in ((name, {}), ("maml", {"inner_loss": name}), ("maml", {})):
        update, _, state = made(algorithm, policy, **options, **own)
        problem = RecordingProblem(policy, batches)
        questions.append(asked_of_a_trust_region(monkeypatch, update, state, problem))
    ours, theirs, maml = questions
    v = torch.ones_like(ours.point)
    assert torch.equal(ours.gradient, theirs.gradient)
    assert torch.equal(ours.product(v), theirs.product(v))
    assert not torch.allclose(ours.gradient, maml.gradient, rtol=1e-3)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_without_second_derivatives_there_is_no_difference(name, policy, draw_samples) -> None:
    problem = GivenProblem(policy, [draw_samples(policy, num_steps=20, seed=k) for k in range(2)])
    _, _, state = made("fomaml", policy)
    gradients = []
    for loss in (ESTIMATORS[name].loss, ESTIMATORS["plain"].loss):
        inner = Inner(loss, 0.1, 1, first_order=True)
        path = inner_loop(problem, state["theta"], inner)
        gradients.append(meta_objective(problem, path, inner, importance_ratio).gradient)
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-13)
