"""Evaluations as JSON, checked as they are read."""

from pathlib import Path
from typing import Annotated, Any

from maml_rl.reports.measure import ACCURACY, LOSS, RETURN, Measure
from maml_rl.schema.bounds import Within, check_value
from maml_rl.schema.documents import DocumentError, parse_json, read_text
from maml_rl.schema.errors import UsageError

MAX_RESULTS = 100
RESULT: dict[str, Any] = {"name": str, "gradient_steps": tuple[Annotated[int, Within(0, 100_000)], ...]}
MEAN = tuple[Annotated[float | None, Within(-1e30, 1e30)], ...]
INTERVAL = tuple[Annotated[float | None, Within(0, 1e30)], ...]
SIDES = {"env": [RETURN], "data": [ACCURACY, LOSS]}  # the first measure that a file has is the one that is drawn


def read_evaluation(path: Path) -> dict[str, Any]:
    """An evaluation JSON as figures need it: `tasks`, the family or data set and the kind of its tasks, `measure`,
    `results`, and the file's stem as `label`. A result has its `algorithm`, if the file says it. Raises UsageError if
    the file is none.
    """
    try:
        evaluation = parse_json(read_text(path))
    except DocumentError as error:
        raise UsageError(f"{path}: got what cannot be read ({error}), allowed: an evaluation's JSON") from error
    if not isinstance(evaluation, dict):
        raise UsageError(f"{path}: got a {type(evaluation).__name__}, allowed: an evaluation's JSON")
    side = "data" if "data" in evaluation else "env"
    _require(evaluation, (side, "results"), str(path))
    results = evaluation["results"]
    if not isinstance(results, list) or not 1 <= len(results) <= MAX_RESULTS:
        got = f"{len(results)} results" if isinstance(results, list) else f"a {type(results).__name__} of results"
        raise UsageError(f"{path}: got {got}, allowed: a list of 1 to {MAX_RESULTS} in an evaluation's JSON")
    measure = next(
        (each for each in SIDES[side] if isinstance(results[0], dict) and f"{each.name}_mean" in results[0]),
        SIDES[side][0],
    )
    return {
        "tasks": check_value(f"{path}: {side}", evaluation[side], str) + _kind(evaluation.get("protocol")),
        "measure": measure,
        "results": [_checked(result, measure, f"{path}: result {i}") for i, result in enumerate(results, start=1)],
        "label": path.stem,
    }


def _kind(protocol: Any) -> str:
    """Of tasks of a classification how many classes and examples they have."""
    sizes = [protocol.get(name) for name in ("ways", "shots")] if isinstance(protocol, dict) else []
    return ", {}-way {}-shot".format(*sizes) if sizes and all(isinstance(each, int) for each in sizes) else ""


def _checked(result: Any, measure: Measure, label: str) -> dict[str, Any]:
    """The entries of a result that figures need. Raises UsageError."""
    if not isinstance(result, dict):
        raise UsageError(f"{label}: got a {type(result).__name__}, allowed: an evaluation's JSON")
    kinds = RESULT | {f"{measure.name}_mean": MEAN, f"{measure.name}_ci95": INTERVAL}
    _require(result, kinds, label)
    checked = {name: check_value(f"{label}: {name}", result[name], kind) for name, kind in kinds.items()}
    steps = checked["gradient_steps"]
    if not steps or list(steps) != sorted(set(steps)):
        raise UsageError(f"{label}: gradient_steps: got {list(steps)[:10]}, allowed: rising numbers, one or more")
    for name in (f"{measure.name}_mean", f"{measure.name}_ci95"):
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
