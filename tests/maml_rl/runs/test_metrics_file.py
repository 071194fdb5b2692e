import json

from maml_rl.runs.metrics_file import MetricsWriter


def test_numbers_that_are_not_finite_become_null(tmp_path) -> None:
    with MetricsWriter(tmp_path, 0) as writer:
        writer.write({"iteration": 0, "return/pre": float("nan"), "kl": 0.5})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"iteration": 0, "return/pre": None, "kl": 0.5}


def test_going_on_keeps_the_lines_before_by_their_number(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    rest = ', "env_steps": 5, "return/pre": 1.5, "return/post": null}'
    path.write_text("".join(f'{{"iteration": {i}{rest}\n' for i in (1, 2, 3)) + '{"iter')
    with MetricsWriter(tmp_path, 3) as writer:
        writer.write({"iteration": 3})
    assert [json.loads(line)["iteration"] for line in path.read_text().splitlines()] == [1, 2, 3]
