"""The outer step by Adam; that by a trust region is in test_trust_region.py and the algorithms' tests."""

import pytest
import torch

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import KeyedGenerator
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import importance_ratio, policy_gradient
from tests.maml_rl.given_problem import GivenProblem

POLICY = MlpPolicy(3, 2, (5,), "tanh")
BY_ADAM = [name for name, entry in ALGORITHMS.items() if hasattr(entry.options, "outer_step")]


@pytest.mark.parametrize("name", BY_ADAM)
def test_adam_keeps_its_moments_in_the_state_and_moves_what_the_trust_region_moves(name, draw_samples) -> None:
    entry = ALGORITHMS[name]
    options = entry.options(outer_step="adam", meta_lr=0.01)
    algorithm, policy = entry.make(options), entry.model(POLICY, options)
    problem = GivenProblem(policy, [draw_samples(policy, num_steps=20, seed=k) for k in range(2)])
    state = {name: part.double() for name, part in algorithm.init(policy, KeyedGenerator(1)).items()}
    assert {"adam.m", "adam.v", "adam.t"} <= state.keys()
    after, metrics = algorithm.update(state, problem)
    assert after.keys() == state.keys()
    assert after["adam.t"] == 1
    assert "line_search/accepted" not in metrics
    moved = (after["theta"] - state["theta"]).abs()
    # The first step of Adam has the size meta_lr in every number that has a gradient.
    touched = moved > 0
    torch.testing.assert_close(moved[touched], torch.full_like(moved[touched], 0.01), rtol=1e-3, atol=0)
    _, by_trust_region = _updated(name, problem, state)
    assert torch.equal(touched, by_trust_region["theta"] != state["theta"])


def _updated(name, problem, state):
    algorithm = ALGORITHMS[name].make(ALGORITHMS[name].options())
    after, metrics = algorithm.update(state, problem)
    assert metrics["line_search/accepted"]
    return metrics, after


def test_it_goes_down_the_gradient_of_the_meta_objective(draw_samples) -> None:
    problem = GivenProblem(POLICY, [draw_samples(POLICY, num_steps=20, seed=k) for k in range(2)])
    entry = ALGORITHMS["maml"]
    algorithm = entry.make(entry.options(outer_step="adam", meta_lr=1e-3))
    state = {name: part.double() for name, part in algorithm.init(POLICY, KeyedGenerator(1)).items()}
    inner = Inner(policy_gradient, 0.1, 1)
    objective = meta_objective(problem, inner_loop(problem, state["theta"], inner), inner, importance_ratio)
    after, metrics = algorithm.update(state, problem)
    assert metrics["loss"] == objective.loss
    torch.testing.assert_close(after["adam.m"], 0.1 * objective.gradient)
    assert torch.equal((after["theta"] - state["theta"]).sign(), -objective.gradient.sign())


@pytest.mark.parametrize(("schedule", "left"), [("constant", 1.0), ("linear", 0.25)])
def test_its_step_size_stays_or_falls_to_nothing_at_the_end_of_the_run(draw_samples, schedule, left) -> None:
    batches = [draw_samples(POLICY, num_steps=20, seed=k) for k in range(2)]
    entry = ALGORITHMS["maml"]
    algorithm = entry.make(entry.options(outer_step="adam", meta_lr=0.01, meta_lr_schedule=schedule))
    state = {name: part.double() for name, part in algorithm.init(POLICY, KeyedGenerator(1)).items()}
    at_first, _ = algorithm.update(state, GivenProblem(POLICY, batches, progress=0.0))
    later, _ = algorithm.update(state, GivenProblem(POLICY, batches, progress=0.75))
    torch.testing.assert_close(later["theta"] - state["theta"], left * (at_first["theta"] - state["theta"]))
