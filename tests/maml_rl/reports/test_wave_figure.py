import numpy as np
import pytest

from maml_rl.reports.canvas import picture
from maml_rl.reports.wave_figure import Wave, wave_figure
from maml_rl.schema.errors import UsageError

X = np.linspace(-5, 5, 30)


def given(amplitude: float = 3.0, name: str = "3.00 sin(x)", steps: tuple[int, ...] = (0, 1, 5, 10)) -> Wave:
    truth = amplitude * np.sin(X)
    predictions = {step: truth * step / (step + 1) for step in reversed(steps)}
    return Wave(X, truth, predictions, X[[3, 11, 12]], truth[[3, 11, 12]], name)


@pytest.mark.parametrize("number", range(1, 7))
def test_a_panel_per_wave_of_the_truth_predictions_and_points(number: int) -> None:
    waves = [given(1.0 + i, f"{i}") for i in range(number)]
    panels = wave_figure(waves, "waves").axes
    assert [axes.get_title() for axes in panels] == [wave.name for wave in waves]
    for axes, wave in zip(panels, waves, strict=True):
        truth, *predictions, points = axes.lines
        assert np.array_equal(truth.get_xydata(), np.stack([X, wave.truth], axis=1))
        for line, step in zip(predictions, (0, 1, 5, 10), strict=True):
            assert np.array_equal(line.get_xydata(), np.stack([X, wave.predictions[step]], axis=1))
        assert np.array_equal(points.get_xydata(), np.stack([wave.support_x, wave.support_y], axis=1))
        assert points.get_linestyle() == "None"
        assert truth.get_linewidth() > 2 * predictions[0].get_linewidth()
        assert axes.get_ylim() == panels[0].get_ylim()
        # The lowest panel of each column says its x, and the first of each row its y.
        below = any(each.get_position().x0 == axes.get_position().x0 for each in panels[panels.index(axes) + 1 :])
        assert axes.get_xlabel() == ("" if below else "x (rad)")
    assert panels[0].get_ylabel() == "y"


def test_one_legend_from_dotted_to_strong() -> None:
    drawn = wave_figure([given(steps=(0, 1)), given(steps=(5, 10))], "waves")
    [legend] = drawn.legends
    steps = ["before adaptation", *(f"after {k} gradient step{'s' * (k > 1)}" for k in (1, 5, 10))]
    assert [text.get_text() for text in legend.get_texts()] == ["truth", *steps, "the points it saw"]
    _, before, *after, _ = legend.get_lines()
    assert before.get_linestyle() == ":"
    brightness = [sum(line.get_color()[:3]) for line in after]
    assert brightness == sorted(brightness, reverse=True)
    of_step = {line.get_label(): line.get_color() for axes in drawn.axes for line in axes.lines}
    assert [tuple(of_step[line.get_label()]) for line in after] == [tuple(line.get_color()) for line in after]


def test_everything_fits_into_the_page() -> None:
    for number in (1, 2, 5):
        drawn = wave_figure([given(name="n" * 80)] * number, "n" * 200)
        drawn.draw_without_rendering()
        for part in (*drawn.axes, *drawn.legends, drawn._suptitle):
            box = part.get_tightbbox()
            assert box is not None
            low, high = np.array(box) / drawn.bbox.size
            assert (low >= 0).all(), (number, part)
            assert (high <= 1).all(), (number, part)


def test_names_are_text() -> None:
    name = "$_{$ \N{GREEK SMALL LETTER LAMDA} \N{HIRAGANA LETTER A}"  # as a formula, it would be a broken one
    drawn = wave_figure([given(name=name), given(name="_b")], "$^$")
    assert [drawn.get_suptitle(), drawn.axes[0].get_title()] == ["$^$", name]
    assert drawn.axes[1].get_title().endswith("_b")
    assert len(picture(drawn, "png")) > 10_000


@pytest.mark.parametrize("value", [1e300, -1e300, np.inf, np.nan])
def test_a_prediction_far_off_does_not_press_the_truth_flat(value: float) -> None:
    wave = given()
    drawn = wave_figure([Wave(X, wave.truth, {0: np.full(30, value)}, X[:2], wave.truth[:2], "")], "")
    low, high = drawn.axes[0].get_ylim()
    assert -7 < low < -3
    assert 3 < high < 7
    assert picture(drawn, "png")


@pytest.mark.parametrize(
    ("waves", "line"),
    [
        ([given()] * 7, "got 7 waves, allowed: 1 to 6 in a figure"),
        ([], "got 0 waves, allowed: 1 to 6 in a figure"),
        ([given(steps=tuple(range(7)))], "got 7 numbers of gradient steps, allowed: 1 to 6 in a figure"),
        ([given(steps=())], "got 0 numbers of gradient steps, allowed: 1 to 6 in a figure"),
    ],
)
def test_limits(waves: list[Wave], line: str) -> None:
    with pytest.raises(UsageError) as error:
        wave_figure(waves, "waves")
    assert str(error.value) == line
