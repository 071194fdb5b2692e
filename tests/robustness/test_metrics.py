"""Rows of a metrics.jsonl that no run writes: neither drawn nor continued."""

import json
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from maml_rl import plot, train
from tests.maml_rl.test_train import metrics
from tests.maml_rl.test_train import train as train_tiny
from tests.robustness.promise import DEEP, assert_refused, copy_of, rows_of, tiny_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("runs"), iterations=2)


ENTRIES: list[tuple[str, Any]] = [
    ("return/pre", []),
    ("return/pre", {}),
    ("return/pre", "x"),
    ("return/pre", nan),
    ("return/post", inf),
    ("return/post", 1e308),
    ("return/post", True),
    ("env_steps", "x"),
    ("env_steps", None),
    ("env_steps", -1),
    ("env_steps", 2**70),
    ("env_steps", 1),  # fewer than in the row before
    ("iteration", 0),
    ("iteration", 1.0),
    ("iteration", True),
    ("kl", "x"),
    ("a\u2028b\n", []),
    ("x" * 100_000, []),
]


def assert_nobody_reads(text: str, run: Path, folder: Path, capfd) -> None:
    damaged = copy_of(run, folder)
    (damaged / "metrics.jsonl").write_text(text)
    assert_refused(plot.main, [str(damaged), "--output", str(folder / "x.png")], folder, capfd, "metrics.jsonl")
    assert_refused(train.main, ["--resume", str(damaged), "--iterations", "3"], folder, capfd, "metrics.jsonl")


@pytest.mark.parametrize(("name", "value"), ENTRIES, ids=lambda value: repr(value)[:20])
def test_an_entry(run, tmp_path, capfd, name, value) -> None:
    first, second = rows_of(run)
    assert_nobody_reads(f"{json.dumps(first)}\n{json.dumps(second | {name: value})}\n", run, tmp_path, capfd)


@pytest.mark.parametrize("missing", ["iteration", "env_steps", "return/pre", "return/post"])
def test_an_entry_that_is_not_there(run, tmp_path, capfd, missing) -> None:
    row = {name: value for name, value in rows_of(run)[0].items() if name != missing}
    assert_nobody_reads(json.dumps(row) + "\n", run, tmp_path, capfd)


LINES = {
    "a list": "[]\n",
    "null": "null\n",
    "text": '"iteration"\n',
    "blank": "\n",
    "a zero byte": "\0\n",
    "nested": DEEP + "\n",
    "a number of 5,000 digits": '{"iteration": ' + "9" * 5_000 + "}\n",
    "too long": '{"a": "' + "x" * 2_000_000 + '"}\n',
    "many keys": "{" + ", ".join(f'"k{i}": 1' for i in range(70_000)) + "}\n",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line(run, tmp_path, capfd, line) -> None:
    assert_nobody_reads(line, run, tmp_path, capfd)


def test_a_byte_order_mark_and_rows_out_of_order(run, tmp_path, capfd) -> None:
    text = (run / "metrics.jsonl").read_text()
    for i, damaged in enumerate(("\ufeff" + text, "".join(text.splitlines(keepends=True)[::-1]))):
        (tmp_path / str(i)).mkdir()
        assert_nobody_reads(damaged, run, tmp_path / str(i), capfd)


@pytest.mark.parametrize("value", [10_000_000_000_000_000_000, None, -5, 1e30])
def test_a_number_of_any_size_is_drawn(run, tmp_path, value) -> None:
    fine = copy_of(run, tmp_path)
    rows = [row | {"return/pre": value} for row in rows_of(run)]
    (fine / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert plot.main([str(fine), "--output", str(tmp_path / "x.png")]) == 0
    assert (tmp_path / "x.png").stat().st_size > 5000


def test_a_resumed_run_without_metrics_says_so(tmp_path, capsys) -> None:
    run = tmp_path / "run"
    train_tiny(run, "--iterations", "3")
    (run / "metrics.jsonl").unlink()
    capsys.readouterr()
    assert train.main(["--resume", str(run), "--iterations", "4"]) == 0
    assert f"{run / 'metrics.jsonl'} lacks all of 3 iterations" in capsys.readouterr().err
    assert len(metrics(run)) == 1


def test_what_a_run_directory_lacks_is_named(tmp_path, capsys) -> None:
    run = tmp_path / "run"
    train_tiny(run, "--iterations", "1")
    (run / "checkpoints").rename(tmp_path / "elsewhere")
    assert train.main(["--resume", str(run), "--iterations", "2"]) == 2
    assert "has no folder checkpoints" in capsys.readouterr().err
    (run / "config.yaml").write_text("")
    assert train.main(["--resume", str(run), "--iterations", "2"]) == 2
    assert "config.yaml: got a config without options" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [1, 30, 10_000])
def test_a_resumed_run_loses_no_metrics_without_a_word(tmp_path, capsys, cut) -> None:
    """cut: bytes at the end of the file that a crash of the machine has lost: its last newline, and more."""
    run = tmp_path / "run"
    train_tiny(run, "--iterations", "4")
    path = run / "metrics.jsonl"
    before = path.read_bytes()
    damaged = before[: max(0, len(before) - cut)]
    path.write_bytes(damaged)
    capsys.readouterr()
    assert train.main(["--resume", str(run), "--iterations", "5"]) == 0
    said = capsys.readouterr().err
    aside = run / "metrics.jsonl.damaged"
    if cut == 1:  # the last row is whole
        assert path.read_bytes().startswith(before)
        assert not aside.exists()
        assert "lacks" not in said
    else:
        lacking = 1 if cut == 30 else 4
        assert aside.read_bytes() == damaged
        assert f"{path} lacks {lacking} of 4 iterations; as it was: {aside}" in said
        assert len(metrics(run)) == 5 - lacking
