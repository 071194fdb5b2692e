"""Evaluations as JSON, checked as they are read."""

from pathlib import Path
from typing import Annotated, Any

from maml_rl.schema.bounds import Within, check_value
from maml_rl.schema.documents import DocumentError, parse_json, read_text
from maml_rl.schema.errors import UsageError

MAX_RESULTS = 100
RESULT: dict[str, Any] = {
    "name": str,
    "gradient_steps": tuple[Annotated[int, Within(0, 100_000)], ...],
    "return_mean": tuple[Annotated[float | None, Within(-1e30, 1e30)], ...],
    "return_ci95": tuple[Annotated[float | None, Within(0, 1e30)], ...],
}


def read_evaluation(path: Path) -> dict[str, Any]:
    """The family and the results of an evaluation JSON, as figures need them: `env`, `results`, and the file's stem
    as `label`. A result has its `algorithm`, if the file says it. Raises UsageError if the file is none.
    """
    try:
        evaluation = parse_json(read_text(path))
    except DocumentError as error:
        raise UsageError(f"{path}: got what cannot be read ({error}), allowed: an evaluation's JSON") from error
    if not isinstance(evaluation, dict):
        raise UsageError(f"{path}: got a {type(evaluation).__name__}, allowed: an evaluation's JSON")
    _require(evaluation, ("env", "results"), str(path))
    results = evaluation["results"]
    if not isinstance(results, list) or not 1 <= len(results) <= MAX_RESULTS:
        got = f"{len(results)} results" if isinstance(results, list) else f"a {type(results).__name__} of results"
        raise UsageError(f"{path}: got {got}, allowed: a list of 1 to {MAX_RESULTS} in an evaluation's JSON")
    return {
        "env": check_value(f"{path}: env", evaluation["env"], str),
        "results": [_checked(result, f"{path}: result {i}") for i, result in enumerate(results, start=1)],
        "label": path.stem,
    }


def _checked(result: Any, label: str) -> dict[str, Any]:
    """The entries of a result that figures need. Raises UsageError."""
    if not isinstance(result, dict):
        raise UsageError(f"{label}: got a {type(result).__name__}, allowed: an evaluation's JSON")
    _require(result, RESULT, label)
    checked = {name: check_value(f"{label}: {name}", result[name], kind) for name, kind in RESULT.items()}
    steps = checked["gradient_steps"]
    if not steps or list(steps) != sorted(set(steps)):
        raise UsageError(f"{label}: gradient_steps: got {list(steps)[:10]}, allowed: rising numbers, one or more")
    for name in ("return_mean", "return_ci95"):
        if len(checked[name]) != len(steps):
            allowed = f"{len(steps)}, as gradient_steps has them"
            raise UsageError(f"{label}: {name}: got {len(checked[name])} numbers, allowed: {allowed}")
    if isinstance(result.get("algorithm"), str):
        checked["algorithm"] = result["algorithm"]
    return checked


def _require(given: dict[str, Any], names: Any, label: str) -> None:
    missing = next((name for name in names if name not in given), None)
    if missing:
        raise UsageError(f"{label}: got no {missing!r}, allowed: an evaluation's JSON")
