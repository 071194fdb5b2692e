import dataclasses

import pytest
import torch
from torch import Tensor

from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.sinusoid import Sinusoid
from tests.maml_rl.supervised.test_episodes import Corners, episodes

M, S, STEPS = 4, 5, 20  # tasks, examples of a support set


def in_minibatches(size: int, **changes) -> Episodes:
    return dataclasses.replace(episodes(Sinusoid(), STEPS, M), inner_batch=size, **changes)


def seen(problem: Episodes, k: int) -> Tensor:
    """The numbers [M, B] of the examples that inner step k sees."""
    drawn = problem.draw(torch.zeros(problem.num_tasks, problem.model.num_parameters), k)
    same = drawn.inputs == problem.sets[0].inputs.mT  # [M, B, S]
    assert (same.sum(dim=2) == 1).all()
    return same.int().argmax(dim=2)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_every_example_is_seen_once_before_any_is_seen_again(size: int) -> None:
    """Slices reach over the end of an epoch, and the next begins behind them."""
    problem = in_minibatches(size)
    batches = [seen(problem, k) for k in range(STEPS)]
    assert all(batch.shape == (M, size) for batch in batches)
    in_order = torch.cat(batches, dim=1)
    orders = in_order[:, : STEPS * size // S * S].unflatten(1, (-1, S))  # [M, epochs, S]
    assert (orders.sort(dim=2).values == torch.arange(S)).all()
    assert len(orders.flatten(0, 1).unique(dim=0)) > max(orders.shape[:2])  # neither all tasks nor all epochs are alike


def test_inputs_keep_their_targets_and_weigh_alike() -> None:
    problem = in_minibatches(3)
    batch, numbers = problem.draw(torch.zeros(M, problem.model.num_parameters), 4), seen(problem, 4)
    assert torch.equal(batch.targets, problem.sets[0].targets.gather(1, numbers[..., None]))
    torch.testing.assert_close(batch.weights, torch.full((M, 3), 1 / 3))


def test_a_share_of_the_tasks_sees_the_same() -> None:
    whole = in_minibatches(2)
    part = dataclasses.replace(whole, tasks=whole.tasks[2:], draws=dataclasses.replace(whole.draws, first_task=2))
    for k in range(STEPS):
        assert torch.equal(seen(part, k), seen(whole, k)[2:])


def test_a_minibatch_depends_on_its_key_alone() -> None:
    """Not on the steps before it. Another iteration has other orders."""
    problem, again = in_minibatches(3), in_minibatches(3)
    other = in_minibatches(3, draws=dataclasses.replace(problem.draws, iteration=1))
    in_order = [seen(problem, k) for k in range(STEPS)]
    assert torch.equal(seen(again, 7), in_order[7])
    assert not all(torch.equal(seen(other, k), in_order[k]) for k in range(STEPS))


@pytest.mark.parametrize("size", [0, S, S + 1])
def test_the_whole_support_set_is_seen_as_it_is(size: int) -> None:
    problem = in_minibatches(size)
    assert all(torch.equal(seen(problem, k), torch.arange(S).expand(M, -1)) for k in range(STEPS))


def test_queries_stay_whole() -> None:
    problem = dataclasses.replace(episodes(Corners(), 2, M), inner_batch=4)
    theta_M = torch.zeros(M, problem.model.num_parameters)
    assert [problem.draw(theta_M, k).inputs.shape for k in range(3)] == [(M, 4, 2), (M, 4, 2), (M, 21, 2)]
    assert torch.equal(problem.draw(theta_M, 2).inputs, problem.sets[1].inputs)
