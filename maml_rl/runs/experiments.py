"""Experiments: runs that differ in their seeds alone, by a label that says in which options others differ."""

from collections.abc import Sequence
from typing import Any

from maml_rl.options.config import Config, flat, names_marked
from maml_rl.schema.fields import Mark


def group_runs(runs: Sequence[tuple[Config, list[dict[str, Any]]]]) -> dict[str, dict[str, list[list[dict[str, Any]]]]]:
    """Metrics of the runs of each family and experiment, by a label that says in which options it differs.

    It is compared with the experiments of the same algorithm: another one has other options, and is named.
    """
    groups: dict[tuple[tuple[str, Any], ...], list[list[dict[str, Any]]]] = {}
    for config, rows in runs:
        same = names_marked(config, Mark.SAME_EXPERIMENT)
        experiment = tuple((name, value) for name, value in flat(config).items() if name not in same)
        groups.setdefault(experiment, []).append(rows)
    algorithms = {dict(experiment)["algorithm"] for experiment in groups}
    families: dict[str, dict[str, list[list[dict[str, Any]]]]] = {}
    for experiment, group in groups.items():
        options = dict(experiment)
        tasks = "data" if "data" in options else "env"
        alike = [
            each for each in map(dict, groups) if all(each.get(name) == options[name] for name in (tasks, "algorithm"))
        ]
        differing = [name for name in options if len({str(each[name]) for each in alike}) > 1]
        words = [options["algorithm"]] if len(algorithms) > 1 else []
        label = ", ".join(words + [f"{name} {options[name]}" for name in differing])
        families.setdefault(options[tasks], {})[label] = group
    return families
