"""The JSON of a comparison: what was evaluated on, what is kept of each run, and statistics over seeds and tasks."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maml_rl.comparison.kept_run import KeptRun, read_kept
from maml_rl.reports.measure import ACCURACY, LOSS, RETURN, Measure
from maml_rl.reports.statistics import (
    Estimate,
    interquartile_mean,
    mean,
    mean_difference,
    probability_of_improvement,
)
from maml_rl.schema.documents import DocumentError, parse_json, read_text
from maml_rl.schema.errors import UsageError, shown

MEASURES = {each.name: each for each in (RETURN, ACCURACY, LOSS)}
SIDES = ("env", "data")


@dataclass(frozen=True)
class Comparison:
    """Runs that were evaluated on the same tasks."""

    side: str  # env or data
    tasks: str  # the name of the family or data set
    measure: Measure
    protocol: dict[str, Any]  # of the evaluation
    task_list: list[Any]  # of the evaluation: each task's numbers, or words for it
    runs: list[KeptRun]

    def by_label(self) -> dict[str, list[KeptRun]]:
        """The runs of each label: its seeds."""
        found: dict[str, list[KeptRun]] = {}
        for run in self.runs:
            found.setdefault(run.label, []).append(run)
        return found

    @property
    def with_one_seed(self) -> list[str]:
        """The labels of which nothing can be concluded about the method."""
        return [label for label, runs in self.by_label().items() if len(runs) == 1]


@dataclass(frozen=True)
class Summary:
    """A label's scores after each number of steps, over its seeds and all tasks."""

    label: str
    runs: list[KeptRun]
    middles: list[Estimate]  # interquartile means, after 0 to K steps
    means: list[Estimate]


@dataclass(frozen=True)
class Against:
    """A label against another, after the last step of each."""

    label: str
    other: str
    improvement: Estimate  # probability that a run of the label is better on a task than one of the other
    difference: Estimate  # of the means


def scores_of(runs: Sequence[KeptRun], step: int) -> np.ndarray:
    """[S, M], after some steps, of the seeds of a label; a step beyond a run's last one is its last."""
    return np.stack([run.matrix[step] for run in runs])


def summaries(comparison: Comparison) -> list[Summary]:
    """Of every label."""
    found = []
    for label, runs in comparison.by_label().items():
        steps = range(min(len(run.scores) for run in runs))
        each = [scores_of(runs, step) for step in steps]
        middles, means = ([of(scores) for scores in each] for of in (interquartile_mean, mean))
        found.append(Summary(label, runs, middles, means))
    return found


def against_each_other(comparison: Comparison) -> list[Against]:
    """Every label against every other that stands before it."""
    sign = 1 if comparison.measure.higher_is_better else -1
    last = {label: scores_of(runs, -1) for label, runs in comparison.by_label().items()}
    labels = list(last)
    return [
        Against(
            label,
            other,
            probability_of_improvement(sign * last[label], sign * last[other]),
            mean_difference(last[label], last[other]),
        )
        for i, label in enumerate(labels)
        for other in labels[:i]
    ]


def as_json(comparison: Comparison, found: Sequence[Summary], pairs: Sequence[Against]) -> dict[str, Any]:
    """The document. Statistics stand in it for other programs; `read_comparison` computes them anew."""
    return {
        comparison.side: comparison.tasks,
        "measure": comparison.measure.name,
        "protocol": comparison.protocol,
        "tasks": comparison.task_list,
        "statistics": {
            "labels": [
                {
                    "label": each.label,
                    "seeds": [run.seed for run in each.runs],
                    "interquartile_mean": [estimate.as_json() for estimate in each.middles],
                    "mean": [estimate.as_json() for estimate in each.means],
                }
                for each in found
            ],
            "pairs": [
                {
                    "of": pair.label,
                    "over": pair.other,
                    "probability_of_improvement": pair.improvement.as_json(),
                    "difference": pair.difference.as_json(),
                }
                for pair in pairs
            ],
            "one_seed": comparison.with_one_seed,
        },
        "runs": [dataclasses.asdict(run) for run in comparison.runs],
    }


def read_comparison(path: Path) -> Comparison:
    """A comparison.json, checked. Raises UsageError if the file is none."""
    try:
        document = parse_json(read_text(path))
    except DocumentError as error:
        raise UsageError(f"{path}: got what cannot be read ({error}), allowed: a comparison.json") from error
    wrong = UsageError(f"{path}: got something else, allowed: a comparison.json")
    if not isinstance(document, dict):
        raise wrong
    side = next((each for each in SIDES if isinstance(document.get(each), str)), None)
    protocol, tasks, runs = (document.get(name) for name in ("protocol", "tasks", "runs"))
    if side is None or not isinstance(protocol, dict) or not isinstance(tasks, list) or not isinstance(runs, list):
        raise wrong
    if document.get("measure") not in MEASURES:
        got = shown(document.get("measure"))
        raise UsageError(f"{path}: measure: got {got}, allowed: {', '.join(MEASURES)}")
    kept = [read_kept(run, f"{path}: run {i}") for i, run in enumerate(runs, start=1)]
    wrong_size = next((run for run in kept if len(run.scores[0]) != len(tasks)), None)
    if wrong_size or not kept:
        got = f"scores of {len(wrong_size.scores[0])} tasks" if wrong_size else "no run"
        raise UsageError(f"{path}: got {got}, allowed: runs with a score for each of the {len(tasks)} tasks")
    return Comparison(side, document[side], MEASURES[document["measure"]], protocol, tasks, kept)


def joined(parts: Sequence[tuple[str, Comparison]]) -> Comparison:
    """One comparison of several, each with a name for messages. Raises UsageError unless they go together."""
    name, first = parts[0]
    runs: dict[tuple[str, int], KeptRun] = {}
    for other_name, other in parts:
        for what in ("tasks", "measure", "task_list"):
            if getattr(other, what) != getattr(first, what):
                words = {"tasks": "tasks", "measure": "measure", "task_list": "evaluation tasks"}[what]
                raise UsageError(f"{other_name}: got other {words} than {name}, allowed: the same")
        for run in other.runs:
            if (run.label, run.seed) in runs:
                raise UsageError(f"{other_name}: got {run.label} with seed {run.seed} again, allowed: each run once")
            runs[run.label, run.seed] = run
    return dataclasses.replace(first, runs=list(runs.values()))
