"""Evaluation files that no evaluation wrote; and names, which are text, not mathematics."""

import json
from pathlib import Path
from typing import Any

import pytest

from maml_rl import plot
from maml_rl.reports.measure import RETURN
from tests.robustness.promise import DEEP, LONG_PATH, assert_refused

RESULT: dict[str, Any] = {
    "name": "maml",
    "gradient_steps": [0, 1],
    "return_mean": [-40, -12],
    "return_ci95": [1, None],
}


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def assert_not_drawn(path: Path, folder: Path, capfd, part: str = "") -> None:
    assert_refused(plot.main, [str(path), "--output", str(folder / "x.png")], folder, capfd, part)


ENTRIES: list[tuple[str, Any]] = [
    ("return_mean", None),
    ("return_mean", [None]),
    ("return_mean", [1e308, -1e308]),
    ("return_mean", [1, 2, 3]),
    ("return_mean", [[1], [2]]),
    ("return_mean", "12"),
    ("return_mean", [float("nan"), 1]),
    ("return_mean", [10**400, 1]),
    ("gradient_steps", 0),
    ("gradient_steps", "1"),
    ("gradient_steps", []),
    ("gradient_steps", [1, 0]),
    ("gradient_steps", [0, 0]),
    ("gradient_steps", [0, 10**9]),
    ("gradient_steps", [0.5, 1]),
    ("gradient_steps", list(range(200_000))),
    ("return_ci95", [-5, -5]),
    ("return_ci95", ""),
    ("return_ci95", [1]),
    ("name", []),
    ("name", None),
]


@pytest.mark.parametrize(("name", "value"), ENTRIES, ids=lambda value: repr(value)[:20])
def test_an_entry(tmp_path, capfd, name, value) -> None:
    path = write(tmp_path / "evaluation.json", {"env": "navigation-2d", "results": [RESULT, RESULT | {name: value}]})
    assert_not_drawn(path, tmp_path, capfd, f"result 2: {name}")


@pytest.mark.parametrize("missing", RESULT)
def test_an_entry_that_is_not_there(tmp_path, capfd, missing) -> None:
    result = {name: value for name, value in RESULT.items() if name != missing}
    assert_not_drawn(write(tmp_path / "e.json", {"env": "x", "results": [result]}), tmp_path, capfd, missing)


WHOLES: dict[str, Any] = {
    "null": None,
    "no env": {"results": [RESULT]},
    "an env that is none": {"env": {"a": 1}, "results": [RESULT]},
    "no results": {"env": "x", "results": []},
    "results that are none": {"env": "x", "results": {"a": 1}},
    "a result that is none": {"env": "x", "results": [1]},
    "results beyond number": {"env": "x", "results": [RESULT] * 10_000},
}


@pytest.mark.parametrize("content", WHOLES.values(), ids=WHOLES)
def test_a_whole(tmp_path, capfd, content) -> None:
    assert_not_drawn(write(tmp_path / "e.json", content), tmp_path, capfd, "e.json")


BYTES = {
    "empty": b"",
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "binary": bytes(range(256)),
    "nested": DEEP.encode(),
    "many empty lists": b"[" + b"[]," * 10_000_000 + b"[]]",
    "many numbers": b"[" + b"1," * 20_000_000 + b"1]",
}


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_bytes(tmp_path, capfd, content) -> None:
    (tmp_path / "e.json").write_bytes(content)
    assert_not_drawn(tmp_path / "e.json", tmp_path, capfd, "e.json")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", LONG_PATH, "a\nb", "\udcff"])
def test_a_path(tmp_path, capfd, path) -> None:
    assert_not_drawn(Path(path), tmp_path, capfd)


@pytest.mark.parametrize("name", [LONG_PATH + ".png", "x" * 252 + ".png", "nowhere/x.png", "x\0.png", ".png"])
def test_an_output_that_cannot_be(tmp_path, capfd, name) -> None:
    path = write(tmp_path / "e.json", {"env": "x", "results": [RESULT]})
    assert_refused(plot.main, [str(path), "--output", str(tmp_path / name)], tmp_path, capfd, "--output")


def test_more_families_and_curves_than_a_figure_has_room_for(tmp_path, capfd) -> None:
    paths = [write(tmp_path / f"{i}.json", {"env": f"family {i}", "results": [RESULT]}) for i in range(100)]
    arguments = [*map(str, paths), "--output", str(tmp_path / "x.png")]
    assert_refused(plot.main, arguments, tmp_path, capfd, "100 families")
    for path in paths:
        write(path, {"env": "one", "results": [RESULT] * 3})
    assert_refused(plot.main, arguments, tmp_path, capfd, "300 curves")


NAMES = [
    *("a$^^$b", "$x$", "$\\frac{}$", "\\b", "_x", "", "%s {x}", "<&>]]>--", "Übung 漢字 😀", "עברית"),
    *("a\nb\tc", "\0", "\x1b[31m", "\ud800", "x" * 100_000),
]


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_names_are_drawn_as_they_are(tmp_path, capfd, suffix) -> None:
    output = tmp_path / f"x.{suffix}"
    content = {"env": "a$^^$b_\\frac{", "results": [RESULT | {"name": name} for name in NAMES]}
    assert plot.main([str(write(tmp_path / "a$^^$b_.json", content)), "--output", str(output)]) == 0
    assert output.stat().st_size > 5000
    assert capfd.readouterr().err == ""


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(tmp_path) -> None:
    from maml_rl.reports.figures import figure

    results = [RESULT | {"name": name} for name in ("_x", "", "a$b$")]
    [axes] = figure({}, [{"tasks": "x", "measure": RETURN, "results": results}]).axes
    legend = axes.get_legend()
    assert legend
    words = [text.get_text().strip("\N{ZERO WIDTH SPACE}") for text in legend.get_texts()]
    assert words == ["_x", "", "a$b$"]


@pytest.mark.parametrize("number", [9, 30, 100])
def test_a_long_legend_leaves_room_for_the_curves(tmp_path, capfd, number) -> None:
    path = write(tmp_path / "e.json", {"env": "x", "results": [RESULT] * number})
    assert plot.main([str(path), "--output", str(tmp_path / "x.png")]) == 0
    assert capfd.readouterr().err == ""
