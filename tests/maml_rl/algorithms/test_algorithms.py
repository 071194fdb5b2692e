"""What every algorithm of the catalogue keeps, and what tells one from another."""

import dataclasses

import pytest
import torch

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.algorithms.fomaml import Fomaml, FomamlOptions
from maml_rl.algorithms.maml import Maml, MamlOptions
from maml_rl.envs import KeyedGenerator, OracleFamily
from maml_rl.meta import meta_step as meta_step_module
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import importance_ratio, policy_gradient
from tests.maml_rl.given_problem import GivenProblem

POLICY = MlpPolicy(3, 2, (5,), "tanh")


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    entry = ALGORITHMS[request.param]
    return entry.make(entry.options())


@pytest.fixture
def problem(draw_samples) -> GivenProblem:
    return GivenProblem(POLICY, [draw_samples(POLICY, num_steps=20, seed=k) for k in range(4)])


@pytest.fixture
def state(algorithm):
    state = algorithm.init(POLICY, KeyedGenerator(1))
    return {name: part.double() for name, part in state.items()}


def test_an_update_improves_the_outer_loss_and_changes_nothing_in_place(algorithm, problem, state) -> None:
    before = {name: part.clone() for name, part in state.items()}
    after, metrics = algorithm.update(state, problem)
    assert all(torch.equal(state[name], before[name]) for name in state)
    assert {name: part.shape for name, part in after.items()} == {name: part.shape for name, part in state.items()}
    assert not torch.equal(after["theta"], state["theta"])
    assert metrics["line_search/accepted"]


def test_adaptation_begins_with_the_policy_itself_and_draws_no_more_than_it_needs(algorithm, problem, state) -> None:
    drawn = []

    @dataclasses.dataclass(frozen=True)
    class Counting(GivenProblem):
        def draw(self, theta_M, k):
            drawn.append(k)
            return super().draw(theta_M, k)

    counting = Counting(POLICY, problem.batches)
    actors = algorithm.adapt(state, counting, 2)
    first = next(actors)
    assert drawn == []
    assert torch.equal(first.theta_M, state["theta"].expand(3, -1))
    thetas_M = [actor.theta_M for actor in actors]
    assert len(thetas_M) == 2
    assert drawn == [0, 1]
    # A policy that has had a step goes on where it was.
    after_one = next(algorithm.adapt({"theta": thetas_M[0][0]}, counting, 1, 1))
    assert torch.equal(after_one.theta_M[0], thetas_M[0][0])


def test_steps_of_an_evaluation_are_smaller_behind_the_trained_ones(algorithm) -> None:
    assert algorithm.step_sizes(0, 3) == [0.1, 0.05, 0.05]
    assert algorithm.step_sizes(1, 3) == [0.05, 0.05]


def test_only_the_oracle_is_told_the_task() -> None:
    env = dataclasses.make_dataclass("Env", ["num_tasks"])(3)
    assert [name for name, entry in ALGORITHMS.items() if entry.wrap is not None and entry.wrap is OracleFamily] == [
        "oracle"
    ]
    assert ALGORITHMS["maml"].wrap(env) is env


def objectives(problem, theta, loss):
    for first_order in (False, True):
        inner = Inner(loss, 0.3, 2, first_order=first_order)
        yield meta_objective(problem, inner_loop(problem, theta, inner), inner, importance_ratio)


def test_first_order_changes_the_outer_gradient_and_its_curvature(problem) -> None:
    theta = POLICY.initial_parameters(KeyedGenerator(1)).double()
    exact, first_order = objectives(problem, theta, policy_gradient)
    assert exact.loss == first_order.loss
    assert exact.evaluate(0.9 * theta) == first_order.evaluate(0.9 * theta)
    assert (exact.gradient - first_order.gradient).norm() > 0.01 * exact.gradient.norm()
    v = torch.ones_like(theta)
    assert not torch.allclose(exact.fisher_vector_product(v), first_order.fisher_vector_product(v))


def test_first_order_is_exact_if_the_inner_hessian_is_zero(draw_samples) -> None:
    """An inner loss that is linear in the parameters: of a linear policy's mean."""
    linear = MlpPolicy(3, 2, ())
    problem = GivenProblem(linear, [draw_samples(linear, seed=k) for k in range(3)])
    theta = linear.initial_parameters(KeyedGenerator(1)).double()

    def loss(distribution, batch):
        return (batch.weights * batch.advantages * distribution.mean.sum(-1)).sum(1)

    exact, first_order = objectives(problem, theta, loss)
    torch.testing.assert_close(exact.gradient, first_order.gradient)
    v = torch.ones_like(theta)
    torch.testing.assert_close(exact.fisher_vector_product(v), first_order.fisher_vector_product(v))


def test_fomaml_is_the_first_order_and_maml_is_not(problem, monkeypatch) -> None:
    given = []
    real = meta_step_module.meta_objective
    monkeypatch.setattr(
        meta_step_module, "meta_objective", lambda *arguments: given.append(arguments[2]) or real(*arguments)
    )
    theta = POLICY.initial_parameters(KeyedGenerator(1)).double()
    Maml(MamlOptions()).update({"theta": theta}, problem)
    Fomaml(FomamlOptions()).update({"theta": theta}, problem)
    assert [inner.first_order for inner in given] == [False, True]
