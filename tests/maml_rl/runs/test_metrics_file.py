import json

from maml_rl.runs.metrics_file import MetricsWriter
from maml_rl.runs.metrics_rows import read_rows


def test_numbers_that_are_not_finite_become_null(tmp_path) -> None:
    with MetricsWriter(tmp_path, 0) as writer:
        writer.write({"iteration": 0, "return/pre": float("nan"), "kl": 0.5})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"iteration": 0, "return/pre": None, "kl": 0.5}


def test_the_next_run_reads_whatever_was_written(tmp_path) -> None:
    row = {"iteration": 0, "env_steps": 9, "return/pre": 1e35, "return/post": -1e29, "loss": float("-inf"), "ok": True}
    with MetricsWriter(tmp_path, 0) as writer:
        writer.write(row)
    rows, _ = read_rows(tmp_path / "metrics.jsonl")
    assert rows == [row | {"return/pre": None, "loss": None}]


def test_going_on_keeps_the_lines_before_by_their_number(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    rest = ', "env_steps": 5, "return/pre": 1.5, "return/post": null}'
    path.write_text("".join(f'{{"iteration": {i}{rest}\n' for i in (1, 2, 3)) + '{"iter')
    with MetricsWriter(tmp_path, 3) as writer:
        writer.write({"iteration": 3})
    assert [json.loads(line)["iteration"] for line in path.read_text().splitlines()] == [1, 2, 3]
