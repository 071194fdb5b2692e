import numpy as np
import pytest
import torch
from matplotlib.container import ErrorbarContainer

from maml_rl.reports.canvas import picture
from maml_rl.reports.measure import ACCURACY, LOSS
from maml_rl.reports.paired import MAX_COMPARED, Scores, differences, print_differences
from maml_rl.reports.paired_figure import paired_figure

HARDNESS = torch.randn(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
EASY, HARD = Scores("easy", HARDNESS + 1.5), Scores("hard", HARDNESS)


def test_what_all_tasks_share_is_not_in_the_interval_of_a_difference() -> None:
    [pair] = differences([HARD, EASY])
    assert (pair["of"], pair["less"]) == ("easy", "hard")
    assert pair["mean"] == pytest.approx(1.5)
    assert pair["ci95"] == pytest.approx(0, abs=1e-12)
    assert HARD.half is not None
    assert HARD.half > 0.2


def test_every_two_once_and_the_same_the_other_way_round() -> None:
    third = Scores("third", HARDNESS.flip(0))
    found = differences([EASY, HARD, third])
    assert [(pair["less"], pair["of"]) for pair in found] == [("easy", "hard"), ("easy", "third"), ("hard", "third")]
    [ahead], [back] = differences([HARD, third]), differences([third, HARD])
    assert back["mean"] == pytest.approx(-ahead["mean"])
    assert back["ci95"] == pytest.approx(ahead["ci95"])
    # var(a - b) = var a + var b - 2 cov(a, b)
    matrix = torch.cov(torch.stack([HARD.values, third.values]))
    variance = matrix.trace() - 2 * matrix[0, 1]
    assert ahead["ci95"] == pytest.approx(1.959964 * float(variance / 50) ** 0.5, rel=1e-6)
    assert differences([EASY]) == []


def test_one_task_has_no_interval(capsys) -> None:
    compared = [Scores("first", torch.tensor([0.5])), Scores("second", torch.tensor([0.25]))]
    assert differences(compared)[0]["ci95"] is None
    print_differences(compared, ACCURACY)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["second", "-25.00%", "-"]


def test_the_table_has_signs(capsys) -> None:
    print_differences([HARD, EASY, Scores("worse", HARDNESS - 1)], LOSS)
    lines = capsys.readouterr().out.splitlines()
    assert "less hard" in lines[1]
    assert [line.split()[:2] for line in lines[-2:]] == [["easy", "+1.500"], ["worse", "-1.000"]]


def test_a_row_for_each_with_its_mean_and_its_difference() -> None:
    compared = [HARD, EASY, Scores("$x_1", HARDNESS.flip(0))]
    left, right = paired_figure(compared, ACCURACY, "tasks").axes
    assert [label.get_text() for label in left.get_yticklabels()] == [each.name for each in compared]
    for axes, expected in ((left, compared), (right, [each.less(HARD) for each in compared])):
        bars = [each for each in axes.containers if isinstance(each, ErrorbarContainer)]
        for i, (bar, row) in enumerate(zip(bars, expected, strict=True)):
            np.testing.assert_allclose(bar.lines[0].get_xydata(), [[row.mean, i]])
            [low, high] = bar.lines[2][0].get_segments()[0]
            np.testing.assert_allclose([low[0], high[0]], [row.mean - row.half, row.mean + row.half])
    low, high = left.get_ylim()
    assert low > high  # the first one is the uppermost
    assert "hard" in right.get_xlabel()


@pytest.mark.parametrize("number", [2, MAX_COMPARED])
def test_everything_fits_into_the_page(number: int) -> None:
    drawn = paired_figure([Scores(f"{i} {'n' * 200}", HARDNESS + i) for i in range(number)], LOSS, "t" * 200)
    drawn.draw_without_rendering()
    for part in drawn.axes:
        box = part.get_tightbbox()
        assert box is not None
        low, high = np.array(box) / drawn.bbox.size
        assert (low >= 0).all(), part
        assert (high <= 1).all(), part


def test_a_score_that_is_not_finite_is_drawn_as_a_gap() -> None:
    drawn = paired_figure([HARD, Scores("diverged", HARDNESS * float("nan"))], LOSS, "tasks")
    assert picture(drawn, "svg").startswith(b"<?xml")
