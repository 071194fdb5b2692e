"""The runs that a comparison is made of."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from maml_rl import envs
from maml_rl.comparison.options import DESCRIPTION, PROG, Options, number_of_steps
from maml_rl.options.command_line import parse_command_line
from maml_rl.options.config import Config, DataConfig, annotations_of, configure
from maml_rl.options.data_effects import without_effect
from maml_rl.options.yaml_file import read_yaml
from maml_rl.schema.bounds import check_value
from maml_rl.schema.errors import UsageError, nearest, shown
from maml_rl.schema.flags import option_name

OF_THE_WHOLE = ("env", "data", "preset", "seeds", "env_steps")  # of a file; flags of the same names go above them
MAX_RUNS = 1000
LABEL = r"[\w][\w .+=,-]{0,59}"


@dataclass(frozen=True)
class PlannedRun:
    """A run of a comparison: what it is called, its options, and its folder."""

    label: str  # of all seeds
    config: Config
    folder: Path
    given: Mapping[str, Any]  # the options that are not its preset's, but the comparison's

    @property
    def name(self) -> str:
        """Unique among the runs."""
        return f"{self.label}-{self.config.seed}"


@dataclass(frozen=True)
class Plan:
    """All runs, by label and then by seed, and how long each goes on."""

    runs: list[PlannedRun]
    env_steps: int | None  # None: as many iterations as the run's options say


def plan(options: Options, shared: Mapping[str, Any]) -> Plan:
    """The runs that the options ask for. shared: options for all of them. Raises UsageError."""
    assert options.output
    file = options.config
    given = read_yaml(file) if file else {}
    whole = _whole(options, given, str(file))
    labelled: dict[str, Mapping[str, Any]] = {name: {"algorithm": name} for name in options.algorithms}
    if file:
        labelled = _labelled(given.get("runs"), f"{file}: runs")
    if not labelled and not options.kept:
        raise UsageError("got no run, allowed: --algorithms, --config or --kept; see --help")
    common = {name: value for name, value in given.items() if name not in (*OF_THE_WHOLE, "runs")}
    bases = {label: _base(whole, values, f"{file}: runs: {label}") for label, values in labelled.items()}
    _check_used(common, bases, lambda name: f"{file}: {name}")
    _check_used(shared, bases, option_name)
    env_steps = None if whole["env_steps"] is None else number_of_steps(str(whole["env_steps"]), "--env-steps")
    if env_steps is not None and "iterations" in {*common, *shared}:
        raise UsageError("--iterations: not allowed with --env-steps, which says how long a run goes on")
    if env_steps is not None and whole["data"] is not None:
        raise UsageError("--env-steps: no effect with --data, allowed: --iterations")
    if len(labelled) * len(whole["seeds"]) > MAX_RUNS:
        raise UsageError(f"got {len(labelled)} x {len(whole['seeds'])} runs, allowed: up to {MAX_RUNS}")
    runs = []
    for label, base in bases.items():
        config = configure(base, _had(common, base), lambda name: f"{file}: {name}")
        own = {name: value for name, value in labelled[label].items() if name != "algorithm"}
        config = configure(config, own, lambda name, label=label: f"{file}: runs: {label}: {name}")
        config = configure(config, _had(shared, base), option_name)
        chosen = {**_had(common, base), **own, **_had(shared, base)}
        for seed in whole["seeds"]:
            seeded = configure(config, {"seed": seed}, lambda _: "--seeds")
            runs.append(PlannedRun(label, seeded, options.output / "runs" / f"{label}-{seed}", chosen))
    _check_effects(shared, [run.config for run in runs])
    return Plan(runs, env_steps)


def _check_effects(given: Mapping[str, Any], configs: Sequence[Config]) -> None:
    """Raise UsageError for a flag that changes nothing in any of the runs."""
    needed = [without_effect(each) if isinstance(each, DataConfig) else {} for each in configs]
    unused = next((name for name in given if needed and all(name in each for each in needed)), None)
    if unused:
        raise UsageError(f"{option_name(unused)}: no effect in these runs, allowed with {needed[0][unused]}")


def _whole(options: Options, given: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What is said of all runs, in flags or in the file."""
    kinds = get_type_hints(Options, include_extras=True)
    flags = {name: getattr(options, name) for name in OF_THE_WHOLE}
    if options.seeds == Options.seeds:
        del flags["seeds"]
    if options.env or options.data:  # above both of the file's
        given = {name: value for name, value in given.items() if name not in ("env", "data")}
    found: dict[str, Any] = {"seeds": Options.seeds, **dict.fromkeys(OF_THE_WHOLE[:-2]), "env_steps": None}
    for name in OF_THE_WHOLE:
        if name in given:
            value = str(given[name]) if name == "env_steps" else given[name]
            found[name] = check_value(f"{file}: {name}", value, kinds[name])
    found |= {name: value for name, value in flags.items() if value is not None}
    if found["env"] and found["data"]:
        raise UsageError(f"{file}: data: not allowed with env: a comparison is of the one or the other")
    return found


def _labelled(given: Any, label: str) -> dict[str, Mapping[str, Any]]:
    if not isinstance(given, dict) or not given or not all(isinstance(each, dict) for each in given.values()):
        raise UsageError(f"{label}: got {shown(given)}, allowed: options of each run, by a name for it")
    for name, values in given.items():
        if not isinstance(name, str) or not re.fullmatch(LABEL, name):
            raise UsageError(f"{label}: got {shown(name)}, allowed: a name of letters, digits and .,+=-_ and spaces")
        for wrong in ("seed", "env", "data"):
            if wrong in values:
                raise UsageError(f"{label}: {name}: got the option {wrong}, allowed: one for all runs, beside runs")
    return given


def _base(whole: Mapping[str, Any], values: Mapping[str, Any], label: str) -> Config:
    """The options of a run before its own: those of the preset."""
    tokens = []
    for name in ("env", "data", "preset"):
        if whole[name] is not None:
            tokens += [option_name(name), str(whole[name])]
    algorithm = values.get("algorithm")
    if algorithm is not None:
        tokens += ["--algorithm", str(algorithm)]
    try:
        return parse_command_line(tokens, PROG, DESCRIPTION, list(envs.ENVS))[0]
    except UsageError as error:
        if algorithm is not None and "--algorithm" in str(error) and label[:4] != "None":
            raise UsageError(f"{label}: {error}") from error
        raise


def _had(values: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The values that a run's algorithm has as options."""
    own = annotations_of(config.algorithm, type(config))
    return {name: value for name, value in values.items() if name in own}


def _check_used(values: Mapping[str, Any], bases: Mapping[str, Config], label: Callable[[str], str]) -> None:
    """Raise UsageError for an option that no run has."""
    for name in values:
        if bases and not any(name in annotations_of(each.algorithm, type(each)) for each in bases.values()):
            known = {option for each in bases.values() for option in annotations_of(each.algorithm, type(each))}
            raise UsageError(f"{label(name)}: not an option of these runs{nearest(str(name), known)}")
