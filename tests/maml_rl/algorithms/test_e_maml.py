"""E-MAML's term of exploration: it does not vanish, and is made of the returns after adaptation."""

import dataclasses

import numpy as np
import pytest
import torch

from maml_rl.algorithms.e_maml import exploring
from maml_rl.models.policies import MlpPolicy
from tests.maml_rl.algorithms import through_everything as oracle
from tests.maml_rl.algorithms.through_everything import RecordingProblem, asked_of_a_trust_region, made

POLICY = MlpPolicy(3, 2, (5,), "tanh", output_scale=2.0)


@pytest.fixture
def problem(draw_samples) -> RecordingProblem:
    """Advantages as a run has them: without a mean within a task."""
    batches = []
    for k in range(3):
        batch = draw_samples(POLICY, num_steps=20, seed=k)
        centred = batch.advantages - (batch.weights * batch.advantages).sum(1, keepdim=True)
        batches.append(dataclasses.replace(batch, advantages=centred))
    return RecordingProblem(POLICY, batches)


def gradient(problem, monkeypatch, **options) -> torch.Tensor:
    algorithm, _, state = made("e_maml", POLICY, **options)
    return asked_of_a_trust_region(monkeypatch, algorithm, state, problem).gradient


def test_without_its_term_it_is_maml(problem) -> None:
    algorithm, _, state = made("e_maml", POLICY, exploration_weight=0.0, inner_steps=2)
    maml, _, _ = made("maml", POLICY, inner_steps=2)
    # Each has the generator of the curvature's first step to itself.
    ours, theirs = (
        each.update(state, dataclasses.replace(problem, random=np.random.default_rng(0))) for each in (algorithm, maml)
    )
    assert not torch.equal(ours[0]["theta"], state["theta"])
    torch.testing.assert_close(ours[0]["theta"], theirs[0]["theta"], rtol=1e-12, atol=1e-14)
    assert ours[1] == pytest.approx(theirs[1])


def test_the_term_does_not_vanish(problem, monkeypatch) -> None:
    """Which it would with a task's mean advantage for its return: 0 for all."""
    plain = gradient(problem, monkeypatch, exploration_weight=0.0)
    term = gradient(problem, monkeypatch, exploration_weight=1.0) - plain
    assert term.norm() > 0.1 * plain.norm()
    torch.testing.assert_close(gradient(problem, monkeypatch, exploration_weight=2.0) - plain, 2 * term)
    # The trap that it avoids: the mean advantage after adaptation is none.
    last = problem.batches[1]
    assert (last.weights * last.advantages).sum(1).abs().max() < 1e-12


def test_the_term_is_the_standardised_return_times_the_likelihood_of_the_first_episodes(problem, monkeypatch) -> None:
    _, _, state = made("e_maml", POLICY)
    term = gradient(problem, monkeypatch) - gradient(problem, monkeypatch, exploration_weight=0.0)
    first, last = problem.batches[0], problem.batches[1]
    theta = state["theta"].clone().requires_grad_()
    credit = (first.weights * oracle.log_prob(POLICY.at(theta.expand(3, -1))(first.inputs), first.actions)).sum(1)
    z = (last.returns - last.returns.mean()) / last.returns.std(correction=0)
    (expected,) = torch.autograd.grad(-(z * credit).mean(), theta)
    torch.testing.assert_close(term, expected, rtol=1e-7, atol=1e-10)


def test_the_returns_are_of_the_last_batch_and_relative_to_the_other_tasks(problem, monkeypatch) -> None:
    def with_returns(number: int, change) -> RecordingProblem:
        batches = list(problem.batches)
        batches[number] = dataclasses.replace(batches[number], returns=change(batches[number].returns))
        return dataclasses.replace(problem, batches=batches)

    before = gradient(problem, monkeypatch, inner_steps=2)
    for number in (0, 1):
        other = with_returns(number, lambda returns: -returns)
        assert torch.equal(gradient(other, monkeypatch, inner_steps=2), before)
    flipped = gradient(with_returns(2, lambda returns: -returns), monkeypatch, inner_steps=2)
    plain = gradient(problem, monkeypatch, inner_steps=2, exploration_weight=0.0)
    torch.testing.assert_close(flipped - plain, plain - before)
    # Neither their unit nor their level matters.
    scaled = gradient(with_returns(2, lambda returns: 1000 * returns - 5000), monkeypatch, inner_steps=2)
    torch.testing.assert_close(scaled, before)
    # Tasks that all end alike say nothing.
    same = gradient(with_returns(2, lambda returns: 0 * returns - 123.4), monkeypatch, inner_steps=2)
    torch.testing.assert_close(same, plain, rtol=1e-3, atol=1e-4)


def test_a_task_without_episodes_has_no_part_in_the_level(problem) -> None:
    """Its return, of nothing, is NaN; the others are standardised among themselves."""
    first, last = (
        dataclasses.replace(
            batch,
            weights=batch.weights.clone().index_fill_(0, torch.tensor([1]), 0.0),
            returns=batch.returns.clone().index_fill_(0, torch.tensor([1]), torch.nan),
        )
        for batch in problem.batches[:2]
    )
    theta = made("e_maml", POLICY)[2]["theta"]
    old = [POLICY.at(theta.expand(3, -1))(batch.inputs) for batch in (first, last)]
    batches = [dataclasses.replace(batch, old=each) for batch, each in zip((first, last), old, strict=True)]
    term = exploring(problem, batches[-1], 1.0)(old, batches) - exploring(problem, batches[-1], 0.0)(old, batches)
    R = last.returns[[0, 2]]
    z = torch.zeros(3, dtype=R.dtype)
    z[[0, 2]] = (R - R.mean()) / R.std(correction=0)
    expected = -z * (first.weights * oracle.log_prob(old[0], first.actions)).sum(1)
    torch.testing.assert_close(term, expected)
