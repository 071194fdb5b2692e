"""What every algorithm of the catalogue keeps, and what tells one from another."""

import dataclasses
import threading

import pytest
import torch

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.algorithms.fomaml import Fomaml, FomamlOptions
from maml_rl.algorithms.maml import Maml, MamlOptions
from maml_rl.envs import KeyedGenerator, OracleFamily
from maml_rl.meta import meta_step as meta_step_module
from maml_rl.meta import task_mean
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import importance_ratio, policy_gradient
from tests.maml_rl.algorithms.catalogue_names import NAMES
from tests.maml_rl.algorithms.through_everything import RecordingProblem, made
from tests.maml_rl.given_problem import GivenProblem

POLICY = MlpPolicy(3, 2, (5,), "tanh")
POLICIES = {"gaussian": POLICY, "categorical": MlpPolicy(3, 5, (5,), "tanh", choices=(2, 3))}
M = 4
# Options with which an algorithm keeps more in its state.
VARIANTS = {"reptile-adam": ("reptile", {"inner_optimiser": "adam"})}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture(params=[*NAMES, *VARIANTS])
def trained(request, policy):
    """An algorithm, the model that it trains, and its first state."""
    name, options = VARIANTS.get(request.param, (request.param, {}))
    return made(name, policy, **options)


@pytest.fixture
def problem(trained, policy, draw_samples) -> GivenProblem:
    batches = [draw_samples(policy, num_tasks=M, num_steps=20, seed=k) for k in range(4)]
    return GivenProblem(trained[1], batches)


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], rtol: float) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(
            one[name], other[name], rtol=rtol, atol=rtol, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_an_update_moves_theta_and_changes_nothing_in_place(trained, problem) -> None:
    algorithm, _, state = trained
    before = {name: part.clone() for name, part in state.items()}
    after, metrics = algorithm.update(state, problem)
    assert all(torch.equal(state[name], before[name]) for name in state)
    assert {name: (part.shape, part.dtype) for name, part in after.items()} == {
        name: (part.shape, part.dtype) for name, part in state.items()
    }
    assert not torch.equal(after["theta"], state["theta"])
    assert all(part.isfinite().all() for part in after.values())
    assert metrics.get("line_search/accepted", True)
    assert all(isinstance(value, int | float) for value in metrics.values())
    again, _ = algorithm.update(state, dataclasses.replace(problem, random=GivenProblem(POLICY, []).random))
    assert all(torch.equal(again[name], after[name]) for name in after)


def test_an_update_of_float32_stays_float32(trained, problem) -> None:
    """As a run has it: the means over tasks are float64, and what is learned is not."""
    algorithm, _, state = trained

    def single(tensor):
        return tensor.float() if tensor.is_floating_point() else tensor

    batches = [
        dataclasses.replace(
            batch, **{name: single(part) for name, part in vars(batch).items() if isinstance(part, torch.Tensor)}
        )
        for batch in problem.batches
    ]
    after, _ = algorithm.update(
        {name: part.float() for name, part in state.items()}, dataclasses.replace(problem, batches=batches)
    )
    assert {part.dtype for part in after.values()} == {torch.float32}


def test_chunks_of_tasks_give_the_same_update(trained, problem, monkeypatch) -> None:
    algorithm, _, state = trained
    whole, metrics = algorithm.update(state, problem)
    monkeypatch.setattr(task_mean, "CACHE_ROWS", 20)  # one task at once
    fresh = dataclasses.replace(problem, random=GivenProblem(POLICY, []).random)
    chunked, metrics_of_chunks = algorithm.update(state, fresh)
    assert_close(chunked, whole, 1e-10)
    assert metrics_of_chunks == pytest.approx(metrics, rel=1e-6, abs=1e-10)


def test_two_ranks_give_the_update_of_one(trained, problem) -> None:
    """Two threads with half of the tasks each stand for the ranks; they add up what the ranks would."""
    algorithm, _, state = trained
    alone, metrics = algorithm.update(state, problem)
    barrier, parts, outcomes = threading.Barrier(2, timeout=30), [torch.empty(0)] * 2, [None] * 2

    def work(rank: int) -> None:
        def all_sum(part: torch.Tensor) -> torch.Tensor:
            parts[rank] = part
            barrier.wait()
            total = parts[0] + parts[1]
            barrier.wait()
            return total

        @dataclasses.dataclass(frozen=True)
        class Share(GivenProblem):
            @property
            def mean(self) -> TaskMean:
                return TaskMean(M, all_sum)

        tasks = slice(0, 1) if rank == 0 else slice(1, M)
        share = Share(problem.model, [batch.rows(tasks) for batch in problem.batches])
        try:
            outcomes[rank] = algorithm.update(state, share)
        finally:
            if outcomes[rank] is None:
                barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        assert outcome is not None
        assert_close(outcome[0], alone, 1e-9)
        assert outcome[1] == pytest.approx(metrics, rel=1e-6, abs=1e-10)
    assert all(torch.equal(outcomes[0][0][name], outcomes[1][0][name]) for name in alone)


def test_a_task_whose_episodes_all_diverged_changes_nothing(trained, problem) -> None:
    """It has no weight, and no return: as if the others were all tasks, but for the number that means divide by."""
    algorithm, _, state = trained

    def without_a_task(batch, garbage: float):
        weights, returns, advantages = batch.weights.clone(), batch.returns.clone(), batch.advantages.clone()
        weights[1], returns[1], advantages[1] = 0, garbage, 0
        return dataclasses.replace(batch, weights=weights, returns=returns, advantages=advantages)

    outcomes = []
    for garbage in (torch.nan, 1e6):
        batches = [without_a_task(batch, garbage) for batch in problem.batches]
        outcomes.append(algorithm.update(state, GivenProblem(problem.model, batches))[0])
    assert all(part.isfinite().all() for part in outcomes[0].values())
    assert not torch.equal(outcomes[0]["theta"], state["theta"])
    assert_close(outcomes[0], outcomes[1], 0.0)


def test_adaptation_begins_with_the_policy_itself_and_draws_no_more_than_it_needs(trained, problem) -> None:
    algorithm, model, state = trained
    drawn = []

    @dataclasses.dataclass(frozen=True)
    class Counting(GivenProblem):
        def draw(self, theta_M, k):
            drawn.append(k)
            return super().draw(theta_M, k)

    counting = Counting(model, problem.batches)
    actors = algorithm.adapt(state, counting, 2)
    first = next(actors)
    assert drawn == []
    assert torch.equal(first.theta_M, state["theta"].expand(M, -1))
    states_M = [actor.state_M for actor in actors]
    assert len(states_M) == 2
    assert drawn == [0, 1]
    assert not torch.equal(states_M[0]["theta"], first.theta_M)
    # A policy that has had a step goes on where it was, with all that is its own by now.
    own = {name: part[0] for name, part in states_M[0].items()}
    assert {name: part.shape for name, part in own.items()}.items() <= {n: p.shape for n, p in state.items()}.items()
    after_one = algorithm.adapt(state | own, counting, 1, 1)
    for actor, expected in zip(after_one, states_M, strict=True):
        assert all(torch.equal(actor.state_M[name][0], part[0]) for name, part in expected.items())
    assert drawn == [0, 1, 1]


def test_steps_of_an_evaluation_are_smaller_behind_the_trained_ones(trained, problem) -> None:
    """As the step sizes say, and as the steps are: each moves by its size times the gradient of the same loss."""
    algorithm, model, state = trained
    last = max(1, algorithm.trained_steps)
    sizes = algorithm.step_sizes(state, 0, last + 2)
    assert sizes == [sizes[0]] * last + [sizes[0] * algorithm.options.eval_lr_ratio] * 2
    assert algorithm.step_sizes(state, 1, last + 2) == sizes[1:]
    assert algorithm.step_sizes(state, 2, 2) == []
    batches = [problem.batches[0]] * (last + 2)
    before, early = (actor.theta_M for actor in algorithm.adapt(state, GivenProblem(model, batches), 1, 0))
    _, late = (actor.theta_M for actor in algorithm.adapt(state, GivenProblem(model, batches), 1, last))
    torch.testing.assert_close(late - before, algorithm.options.eval_lr_ratio * (early - before))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("pretrain", "oracle")])
def test_training_adapts_as_an_evaluation_does(name, draw_samples) -> None:
    """The policies that an update meets along its inner loop are those of `adapt`: inner losses have one gradient."""
    algorithm, model, state = made(name, POLICY, inner_steps=2)
    problem = RecordingProblem(model, [draw_samples(POLICY, num_tasks=M, num_steps=20, seed=k) for k in range(3)])
    algorithm.update(state, problem)
    in_training = [batch.old for batch in problem.drawn]
    actors = list(algorithm.adapt(state, problem, 2))
    for k, old in enumerate(in_training):
        torch.testing.assert_close(actors[k](problem.batches[k].inputs, None)[0], old)
    assert len(in_training) == (2 if name == "reptile" else 3)


def test_only_the_oracle_is_told_the_task() -> None:
    env = dataclasses.make_dataclass("Env", ["num_tasks"])(3)
    assert [name for name, entry in ALGORITHMS.items() if entry.wrap is OracleFamily] == ["oracle"]
    assert ALGORITHMS["maml"].wrap(env) is env


def objectives(problem, theta, loss):
    for first_order in (False, True):
        inner = Inner(loss, 0.3, 2, first_order=first_order)
        yield meta_objective(problem, inner_loop(problem, theta, inner), inner, importance_ratio)


@pytest.fixture
def of_maml(draw_samples) -> GivenProblem:
    return GivenProblem(POLICY, [draw_samples(POLICY, num_steps=20, seed=k) for k in range(4)])


def test_first_order_changes_the_outer_gradient_and_its_curvature(of_maml) -> None:
    theta = POLICY.initial_parameters(KeyedGenerator(1)).double()
    exact, first_order = objectives(of_maml, theta, policy_gradient)
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


def test_fomaml_is_the_first_order_and_maml_is_not(of_maml, monkeypatch) -> None:
    given = []
    real = meta_step_module.meta_objective
    monkeypatch.setattr(
        meta_step_module, "meta_objective", lambda *arguments: given.append(arguments[2]) or real(*arguments)
    )
    theta = POLICY.initial_parameters(KeyedGenerator(1)).double()
    Maml(MamlOptions()).update({"theta": theta}, of_maml)
    Fomaml(FomamlOptions()).update({"theta": theta}, of_maml)
    assert [inner.first_order for inner in given] == [False, True]
