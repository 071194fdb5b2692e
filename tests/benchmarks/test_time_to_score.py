"""The benchmark's bookkeeping: when a run ends, what counts as training, what is printed."""

import json
import time

import pytest

from benchmarks.time_to_score import main
from tests.maml_rl.test_train import TINY

NAVIGATION = ["--env", "navigation-2d"]


@pytest.fixture
def result_of(capsys):
    """Run the benchmark at a tiny size; the one JSON object that it prints."""

    def run(*arguments: str, flags: tuple[str, ...] = ()) -> dict:
        assert main([*NAVIGATION, *arguments, "--", *TINY, *flags]) == 0
        [line] = capsys.readouterr().out.splitlines()
        return json.loads(line)

    return run


def test_a_run_ends_at_the_score(result_of) -> None:
    result = result_of("--score", "-1000", "--seed", "3")
    assert (result["env"], result["seed"], result["score"]) == ("navigation-2d", 3, -1000)
    assert (result["reached"], result["iterations"], result["env_steps"], result["seconds"]) == (True, 0, 0, 0)
    assert result["returns"][0]["post"] >= -1000
    assert result["num_threads"] == 1
    assert {"load_at_start", "load", "cpu", "cores"} <= result.keys()


def test_a_run_ends_with_its_iterations_and_a_last_validation(result_of) -> None:
    start = time.perf_counter()
    result = result_of("--score", "1000", "--every", "2", flags=("--iterations", "3"))
    elapsed = time.perf_counter() - start
    assert (result["reached"], result["iterations"]) == (False, 3)
    assert [row["iteration"] for row in result["returns"]] == [0, 2, 3]
    assert 3 * 2 * 3 * 2 <= result["env_steps"] <= 3 * 2 * 3 * 2 * 10  # iterations, phases, tasks, episodes, steps
    assert 0 < result["seconds"] + result["validation_seconds"] <= elapsed + 0.02  # each rounded to 0.01 s
    again = result_of("--score", "1000", "--every", "1", flags=("--iterations", "3"))
    returns = {row["iteration"]: (row["pre"], row["post"]) for row in again["returns"]}
    # How often it is validated changes nothing.
    assert [(row["pre"], row["post"]) for row in result["returns"]] == [returns[k] for k in (0, 2, 3)]


def test_a_run_ends_with_its_time(result_of) -> None:
    result = result_of("--score", "1000", "--max-seconds", "0", "--preset", "maml-paper")
    assert (result["reached"], result["iterations"], result["preset"]) == (False, 0, "maml-paper")


def test_a_run_begins_with_what_another_has_learned(result_of) -> None:
    flags = ("--iterations", "0", "--hidden-sizes", "100", "100", "--init-from", "navigation-2d")
    [drawn] = result_of("--score", "1000", flags=flags[:-2])["returns"]
    [learned] = result_of("--score", "1000", flags=flags)["returns"]
    assert learned["post"] > drawn["post"] + 1


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--env", "navigation-3d"], ["--env", "nearest: navigation-2d"]),
        ([*NAVIGATION, "--preset", "promp"], ["--preset", "'promp'", "maml-paper"]),
        ([*NAVIGATION, "--score", "nan"], ["--score", "nan", "a number"]),
        ([*NAVIGATION, "--max-seconds", "-1"], ["--max-seconds", "-1", ">= 0"]),
        ([*NAVIGATION, "--every", "0"], ["--every", "0", ">= 1"]),
        ([*NAVIGATION, "--", "--run-dir", "x"], ["--run-dir", "not allowed here"]),
        ([*NAVIGATION, "--", "--keep-best"], ["--keep-best", "not allowed here"]),
        ([*NAVIGATION, "--", "--init-from", "nowhere"], ["--init-from", "nowhere"]),
        ([*NAVIGATION, "--", "--iner-lr", "1"], ["--iner-lr", "nearest: --inner-lr"]),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, parts) -> None:
    assert main(["--score", "-1", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert all(part in line for part in parts), line
