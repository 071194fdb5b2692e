from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from maml_rl.reports.canvas import picture
from maml_rl.reports.episode_page import Episode, episode_page
from maml_rl.schema.errors import UsageError


def given(ways: int = 3, shots: int = 2, queries: int = 4, channels: int = 1, name: str = "class") -> Episode:
    """Query q is of class q modulo N, and taken for class 0."""
    random = np.random.default_rng(ways)
    support = random.random((ways, shots, channels, 9, 9))
    labels = np.arange(queries) % ways
    probabilities = np.full((queries, ways), 0.07)
    probabilities[:, 0] = np.minimum(np.arange(queries) / 100 + 0.5, 0.99)
    pictures = random.random((queries, channels, 9, 9))
    return Episode(
        support, pictures, labels, np.zeros(queries, int), probabilities, [f"{name} {i}" for i in range(ways)]
    )


def words(drawn: Figure) -> list[str]:
    return [text.get_text() for text in drawn.axes[0].texts]


def drawn_pictures(drawn: Figure, number: int, rows: int, columns: int) -> np.ndarray:
    """The pictures [rows, columns, 3, 9, 9] of the page's image with this number."""
    grid = np.asarray(drawn.axes[0].images[number].get_array())
    side = grid.shape[0] // rows
    gap = (side - 9) // 2
    tiles = grid.reshape(rows, side, columns, side, 3).transpose(0, 2, 4, 1, 3)
    assert np.unique(tiles[..., :gap]).size == 1, "a line around each picture"
    return tiles[..., gap:-gap, gap:-gap]


@pytest.mark.parametrize(("ways", "shots", "drawn_shots"), [(2, 1, 1), (5, 5, 5), (20, 7, 5)])
def test_a_column_of_support_pictures_below_the_number_of_its_class(ways: int, shots: int, drawn_shots: int) -> None:
    episode = given(ways, shots)
    drawn = episode_page([episode], "page")
    ink = drawn_pictures(drawn, 0, drawn_shots, ways)
    left, right, bottom, top = drawn.axes[0].images[0].get_extent()
    numbers = [text for text in drawn.axes[0].texts if text.get_text().isdigit() and text.get_position()[0] < right]
    assert [text.get_text() for text in numbers] == [str(way) for way in range(ways)]
    for way, text in enumerate(numbers):
        for shot in range(drawn_shots):
            np.testing.assert_allclose(ink[shot, way], 1 - episode.support[way, shot].repeat(3, axis=0), atol=1e-6)
        x, y = text.get_position()
        assert int((x - left) / (right - left) * ways) == way
        assert y < top < bottom  # inches from above
    assert f"1. {ways}-way, {shots}-shot" + (", 5 shots drawn" if shots > 5 else "") in words(drawn)


def test_colour_pictures_keep_their_colours() -> None:
    episode = given(channels=3)
    drawn = episode_page([episode], "page")
    np.testing.assert_allclose(drawn_pictures(drawn, 0, 2, 3), episode.support.swapaxes(0, 1), atol=1e-6)
    np.testing.assert_allclose(drawn_pictures(drawn, 2, 1, 1)[0, 0], episode.queries[1], atol=1e-6)


def test_queries_have_a_green_frame_or_a_vermilion_one_and_the_right_class() -> None:
    episode = given()
    drawn = episode_page([episode], "page")
    [axes] = drawn.axes
    colours = [to_hex(patch.get_edgecolor()).upper() for patch in axes.patches]
    assert colours == ["#009E73", "#D55E00", "#D55E00", "#009E73"]
    captions = [text for text in axes.texts if "\n0." in text.get_text()]
    assert [text.get_text() for text in captions] == ["0\n0.50", "0, not 1\n0.51", "0, not 2\n0.52", "0\n0.53"]
    for q, (frame, text, image) in enumerate(zip(axes.patches, captions, axes.images[1:], strict=True)):
        left, right, bottom, top = image.get_extent()
        assert frame.get_bbox().extents == pytest.approx([left, top, right, bottom])
        assert text.get_position()[0] == pytest.approx((left + right) / 2)
        assert text.get_position()[1] > bottom > top  # inches from above
        shown = drawn_pictures(drawn, 1 + q, 1, 1)[0, 0]
        np.testing.assert_allclose(shown, 1 - episode.queries[q].repeat(3, axis=0), atol=1e-6)
    assert "2 of 4 queries right" in words(drawn)


def test_of_many_queries_ten_are_drawn_of_all_classes() -> None:
    episode = given(ways=5, queries=75)
    by_class = Episode(**vars(episode) | {"labels": np.sort(episode.labels)})
    drawn = episode_page([by_class], "page")
    assert len(drawn.axes[0].patches) == 10
    assert "15 of 75 queries right, 10 drawn" in words(drawn)
    captions = " ".join(each.split("\n")[0] for each in words(drawn) if "\n0." in each)
    assert captions == "0 0 0, not 1 0, not 1 0, not 2 0, not 2 0, not 3 0, not 3 0, not 4 0, not 4"


@pytest.mark.parametrize(
    "sizes", [[(20, 5, 10)] * 4, [(2, 1, 1)], [(5, 1, 10), (5, 5, 10), (2, 1, 3)], [(19, 1, 5), (7, 1, 75)]]
)
def test_words_are_apart_and_on_the_page(sizes: list[tuple[int, int, int]]) -> None:
    drawn = episode_page([given(*size, name="W" * 200) for size in sizes], "n" * 200)
    drawn.draw_without_rendering()
    boxes = {text: text.get_tightbbox() for text in drawn.axes[0].texts}
    for box in boxes.values():
        low, high = np.array(box) / drawn.bbox.size
        assert (low >= 0).all()
        assert (high <= 1).all()
    for (one, first), (other, second) in combinations(boxes.items(), 2):
        assert not first.overlaps(second), (one, other)
    pictures = [image.get_window_extent() for image in drawn.axes[0].images]
    assert not any(box.overlaps(image) for box in boxes.values() for image in pictures)
    assert not any(one.overlaps(other) for one, other in combinations(pictures, 2))


def test_names_are_text() -> None:
    name = "_$_{$ \N{GREEK SMALL LETTER LAMDA} \N{HIRAGANA LETTER A}"  # as a formula, it would be a broken one
    drawn = episode_page([given(name=name)], "$^$")
    assert "$^$" in words(drawn)
    assert [f"{i}  {name} {i}" for i in range(3)] == [each for each in words(drawn) if name in each]
    assert len(picture(drawn, "png")) > 10_000


@pytest.mark.parametrize(
    ("episodes", "line"),
    [
        ([given()] * 5, "got 5 episodes, allowed: 1 to 4 in a figure"),
        ([], "got 0 episodes, allowed: 1 to 4 in a figure"),
        ([given(), given(ways=21)], "got 21 as the number of classes, allowed: 2 to 20 in a figure"),
        ([given(ways=1)], "got 1 as the number of classes, allowed: 2 to 20 in a figure"),
        ([given(channels=2)], "got pictures of 2 channels, allowed: 1 or 3 in a figure"),
    ],
)
def test_limits(episodes: list[Episode], line: str) -> None:
    with pytest.raises(UsageError) as error:
        episode_page(episodes, "page")
    assert str(error.value) == line
