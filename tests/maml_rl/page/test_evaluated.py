import pytest
import torch
from torch import Tensor

from maml_rl.page.evaluated import Evaluated, Places, _places
from maml_rl.reports.measure import LOSS, RETURN, Measure

LINE = Places("line", torch.arange(3.0), ("task",))


def evaluated(last: list[float], measure: Measure = RETURN) -> Evaluated:
    values = torch.tensor([[0.0] * len(last), last], dtype=torch.float64)
    return Evaluated("maml", measure, values, [str(i) for i in range(len(last))], LINE, "gradient step")


def test_tasks_are_ranked_from_the_worst_to_the_best() -> None:
    assert evaluated([2.0, 1.0, 3.0]).ranking() == [1, 0, 2]
    assert evaluated([2.0, 1.0, 3.0], LOSS).ranking() == [2, 0, 1]
    assert evaluated([2.0, torch.nan, 3.0]).ranking() == [1, 0, 2]  # of which all episodes have diverged


def test_steps_in_words() -> None:
    each = evaluated([1.0])
    assert each.shown_steps == [0, 1]
    assert [each.after(k) for k in range(3)] == ["before adaptation", "after 1 gradient step", "after 2 gradient steps"]


@pytest.mark.parametrize(
    ("tasks", "words", "kind", "axes"),
    [
        ([[0.5], [1.0], [1.7]], ["0.50 m/s", "1.00 m/s", "1.70 m/s"], "line", ("task (m/s)",)),
        ([[1.0], [-1.0], [1.0]], ["forward", "backward", "forward"], "kinds", ("task",)),
        ([[0.0, 1.0], [1.0, 0.0]], ["towards (0.00, 1.00)"] * 2, "circle", ("direction (degrees from forward)",)),
        ([[0.3, -0.2], [0.1, 0.2]], ["(0.30, -0.20) m"] * 2, "plane", ("x (m)", "y (m)")),
    ],
)
def test_places(tasks: list, words: list[str], kind: str, axes: tuple[str, ...]) -> None:
    places = _places(torch.tensor(tasks, dtype=torch.float64), words)
    assert places
    assert (places.kind, places.axes) == (kind, axes)


def test_values_of_places() -> None:
    def at(tasks: list, words: list[str]) -> Tensor:
        places = _places(torch.tensor(tasks, dtype=torch.float64), words)
        assert places
        return places.at

    assert at([[1.0], [-1.0], [1.0]], ["forward", "backward", "forward"]).tolist() == [1, 0, 1]
    assert at([[0.0, 1.0], [-1.0, 0.0]], ["", ""]).tolist() == pytest.approx([90, 180])
    assert _places(torch.zeros(2, 5), ["arm 0 pays 3%"] * 2) is None
