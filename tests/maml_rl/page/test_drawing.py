import re

import pytest
from matplotlib.figure import Figure

from maml_rl.page.chart import Scale, numbered, scale
from maml_rl.page.element import element, points
from maml_rl.page.inline_svg import inline_svg


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-208.3, -11.2), (0.001, 0.0042), (0, 1e6), (5, 5.001)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    ticks = Scale(low, high, 0, 100).ticks()
    assert 3 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)
    words = numbered(ticks).values()
    assert len(set(words)) == len(ticks)
    assert all(len(word) <= 9 for word in words)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [float("nan"), 2.0, 3.0]])
def test_a_scale_holds_all_finite_values(values: list[float]) -> None:
    one = scale(values, 10, 90)
    assert all(10 < one(value) < 90 for value in values if value == value)
    assert one.ticks()


def test_numbers_in_words() -> None:
    assert numbered([-0.5, 0.0, 0.5]) == {-0.5: "\N{MINUS SIGN}0.5", 0.0: "0.0", 0.5: "0.5"}
    assert numbered([0.0, 1000.0]) == {0.0: "0", 1000.0: "1,000"}
    assert numbered([0.05], percent=True) == {0.05: "5 %"}


def test_elements_escape_what_is_not_one() -> None:
    made = element("g", "<b>", element("text", "a"), class_="task", aria_label='"&', x=1 / 3)
    assert made == '<g class="task" aria-label="&#34;&amp;" x="0.33">&lt;b&gt;<text>a</text></g>'
    assert points([(0.0, 1 / 3), (2.0, 10.0)]) == "0,0.33 2,10"


def test_figures_share_no_name_and_have_the_page_s_colours() -> None:
    drawn = Figure(figsize=(3, 2))
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color="black", marker="o", label="<script>$x$</script>")
    axes.legend()
    one, other = inline_svg(drawn, "one", 'a "name"'), inline_svg(drawn, "other", "words")
    names = [set(re.findall(r'\bid="([^"]+)"', each)) for each in (one, other)]
    assert names[0]
    assert not names[0] & names[1]
    for each, own in zip((one, other), names, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)|", each)) - {""} <= own
        assert set(re.findall(r'href="#([^"]+)"', each)) <= own
    assert one.startswith("<svg ")
    assert "currentColor" in one
    assert "#000000" not in one
    assert "&lt;script&gt;$x$" in one
    assert "<script" not in one
    assert inline_svg(drawn, "one", 'a "name"') == one
