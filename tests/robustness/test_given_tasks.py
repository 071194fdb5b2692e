"""Tasks that --fixed-tasks gives, in families of a point, of a body and of a table."""

from pathlib import Path

import pytest

from maml_rl import evaluate
from tests.robustness.promise import DEEP, LIST_OF_LAUGHS, LONG_PATH, MERGES, assert_refused, tiny_run

ENVS = ["navigation-2d", "hopper-rand-params", "tabular-mdp"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for env in ENVS:
        tiny_run(folder, env)
    return folder


TEXTS = {
    "empty": "",
    "an empty list": "[]",
    "text": "tasks",
    "names": "[[a, b]]",
    "null": "[null]",
    "a truth": "[true]",
    "truths": "[[true, 0.3]]",
    "large": "[[1e308, 1e308]]",
    "400 digits": f"[[{'9' * 400}, 1]]",
    "5,000 digits": f"[[{'9' * 5_000}, 1]]",
    "nan": "[[NaN, 1]]",
    "YAML's nan": "[[.nan, 1]]",
    "nested": "[[[[1, 2]]]]",
    "ragged": "[[1, [2]]]",
    "deep": DEEP,
    "laughs": LIST_OF_LAUGHS,
    "merges": MERGES,
    "of itself": "&a [*a]",
    "a mapping of itself": "- &a {b: *a}",
    "a dict": "[{a: 1}]",
    "bytes": "- !!binary aGVsbG8h",
    "a date": "[2001-01-01]",
    "a set": "- !!set {a, b}",
    "a tag": "- !!bool x",
    "an object": "- !!python/object/apply:os.system [ls]",
    "many numbers": "[[" + "1, " * 60_000 + "1]]",
    "many tasks": "[" + "1," * 3_000_000 + "1]",
    "control characters": "[\x07]",
}


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_file(runs, tmp_path, capfd, text, env, suffix) -> None:
    path = tmp_path / f"tasks.{suffix}"
    path.write_text(text)
    arguments = [str(runs / env), "--fixed-tasks", str(path), "--num-threads", "1"]
    assert_refused(evaluate.main, arguments, tmp_path, capfd, "--fixed-tasks")


@pytest.mark.parametrize("path", ["/", "/dev/zero", "/dev/null", LONG_PATH, "a\nb", "a\0b", "", "maml-papr"])
def test_a_path(runs, tmp_path, capfd, path) -> None:
    arguments = [str(runs / "navigation-2d"), "--fixed-tasks", path, "--num-threads", "1"]
    assert_refused(evaluate.main, arguments, tmp_path, capfd, "--fixed-tasks")
