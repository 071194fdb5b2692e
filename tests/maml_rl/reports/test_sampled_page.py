"""The page of samples: the given pictures on the left, a class's samples on its row, names, limits."""

import numpy as np
import pytest

from maml_rl.reports.canvas import picture
from maml_rl.reports.sampled_page import SampledSet, sampled_page
from maml_rl.schema.errors import UsageError


def given(number: int = 3, channels: int = 1, shots: int = 5, samples: int = 10) -> list[SampledSet]:
    random = np.random.default_rng(0)
    return [
        SampledSet(random.random((shots, channels, 9, 9)), random.random((samples, channels, 9, 9)), f"class {i}")
        for i in range(number)
    ]


def shown(image) -> np.ndarray:
    """The pictures [n, 3, 9, 9] of a row."""
    grid = np.asarray(image.get_array())
    side = grid.shape[0]
    gap = (side - 9) // 2
    return grid.reshape(side, -1, side, 3).transpose(1, 3, 0, 2)[..., gap:-gap, gap:-gap]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_class_has_a_row_of_given_pictures_and_of_samples(channels) -> None:
    sets = given(channels=channels)
    [axes] = sampled_page(sets, "page").axes
    assert len(axes.images) == 2 * len(sets)
    rows = []
    for i, each in enumerate(sets):
        left, right = axes.images[2 * i : 2 * i + 2]
        for image, pictures in ((left, each.given), (right, each.samples)):
            expected = pictures if channels == 3 else 1 - pictures.repeat(3, axis=1)
            np.testing.assert_allclose(shown(image), expected, atol=1e-6)
        assert left.get_extent()[1] < right.get_extent()[0]
        assert left.get_extent()[2:] == right.get_extent()[2:]
        rows.append(left.get_extent()[3])
        [name] = [text for text in axes.texts if text.get_text() == each.name]
        assert 0 < left.get_extent()[3] - name.get_position()[1] < 0.3  # inches, just above
    assert rows == sorted(rows)


def test_no_more_than_fit_are_drawn() -> None:
    drawn = sampled_page(given(1, shots=7, samples=12), "page")
    assert [len(shown(image)) for image in drawn.axes[0].images] == [5, 10]
    few = sampled_page(given(1, shots=1), "page")
    assert len(shown(few.axes[0].images[0])) == 1
    assert picture(few, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(("number", "channels", "error"), [(0, 1, "0 classes"), (11, 1, "1 to 10"), (1, 2, "1 or 3")])
def test_what_a_page_cannot_hold(number, channels, error) -> None:
    with pytest.raises(UsageError, match=error):
        sampled_page(given(number, channels), "page")
