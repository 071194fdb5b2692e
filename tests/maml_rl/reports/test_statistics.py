import numpy as np
import pytest

from maml_rl.reports.statistics import interquartile_mean, mean, mean_difference, probability_of_improvement

RANDOM = np.random.default_rng(3)
HARDNESS = 10 * RANDOM.normal(size=40)
ONE, OTHER = (HARDNESS + RANDOM.normal(size=(3, 40)) for _ in range(2))


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    scores = RANDOM.permutation([-1e6, 1.0, 2.0, 3.0, 4.0, 1e9, 1e9, -1e6]).reshape(2, 4)
    assert interquartile_mean(scores).value == pytest.approx((1 + 2 + 3 + 4) / 4)


def test_an_interval_holds_its_value_and_is_the_same_again() -> None:
    for each in (interquartile_mean(ONE), mean(ONE), mean_difference(ONE, OTHER)):
        assert each.low is not None
        assert each.high is not None
        assert each.low < each.value < each.high
    assert mean(ONE) == mean(ONE)


def test_its_width_is_that_of_the_normal_approximation() -> None:
    """Of independent scores of many seeds and one task, and of one seed and many tasks."""
    scores = RANDOM.normal(size=400)
    expected = 1.96 * scores.std() / 20
    for each in (mean(scores[:, None]), mean(scores[None])):
        assert each.low is not None
        assert each.high is not None
        assert (each.high - each.low) / 2 == pytest.approx(expected, rel=0.1)


def test_tasks_that_share_a_seed_do_not_count_as_many() -> None:
    """A seed that is better on all tasks is one draw of the method, not forty."""
    scores = np.array([[0.0], [1.0], [5.0]]) + 0.01 * RANDOM.normal(size=(3, 40))
    found = mean(scores)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 2


def test_what_is_hard_for_all_does_not_blur_a_difference() -> None:
    difference, alone = mean_difference(ONE + 1, OTHER), mean(ONE)
    assert difference.low is not None
    assert difference.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert difference.value == pytest.approx((ONE + 1).mean() - OTHER.mean())
    assert 5 * (difference.high - difference.low) < alone.high - alone.low


def test_probability_of_improvement_by_hand() -> None:
    first, second = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[2.0, 5.0], [0.0, 9.0], [1.0, 5.0]])
    # First task: 1 beats 0 and ties with 1; 3 beats all. Second: 5 ties with two, and loses against 9, twice.
    assert probability_of_improvement(first, second).value == pytest.approx(((1.5 + 3) / 6 + (1 + 1) / 6) / 2)
    assert probability_of_improvement(first, first).value == 0.5
    there, back = probability_of_improvement(ONE, OTHER), probability_of_improvement(OTHER, ONE)
    assert there.value + back.value == pytest.approx(1)
    assert probability_of_improvement(ONE, ONE - 100).low == 1


def test_one_seed_and_one_task_and_what_is_not_finite_have_no_interval() -> None:
    assert mean(np.array([[3.0]])).as_json() == {"value": 3.0, "ci95": None}
    assert interquartile_mean(np.array([[1.0, np.nan], [2.0, 3.0]])).low is None
