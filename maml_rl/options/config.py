"""Configurations: everything that determines a run, from defaults, below a YAML preset, below the command line."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.options.data_options import DataOptions
from maml_rl.options.rl_options import RlOptions
from maml_rl.options.training import Training
from maml_rl.schema.errors import UsageError, nearest, shown
from maml_rl.schema.fields import Mark, merge, names_with


@dataclass(frozen=True)
class RlConfig(Training, RlOptions):
    """A run of reinforcement learning. Each field is a command-line option and a key of the YAML presets."""


@dataclass(frozen=True)
class DataConfig(Training, DataOptions):
    """A run of supervised learning, likewise."""


Config = RlConfig | DataConfig
AnyConfig = TypeVar("AnyConfig", bound=RlConfig | DataConfig)
SIDES: dict[str, type[Config]] = {"env": RlConfig, "data": DataConfig}  # by the option that names the tasks


def beginning(values: Mapping[str, Any]) -> Config:
    """The defaults of the side that has the options: of supervised learning if `data` is among them."""
    return DataConfig() if "data" in values else RlConfig()


def side(kind: type[Config]) -> str:
    """The option that names the tasks of a kind of configuration."""
    return next(name for name, each in SIDES.items() if each is kind)


def tasks_of(config: Config) -> str:
    """The name of the family or data set."""
    return config.env if isinstance(config, RlConfig) else config.data


def annotations_of(algorithm: str, kind: type[Config] = RlConfig) -> dict[str, Any]:
    """All options of a configuration with that algorithm: the types of their values, by name."""
    return _common(kind) | get_type_hints(ALGORITHMS[algorithm].options, include_extras=True)


def _common(kind: type[Config]) -> dict[str, Any]:
    """The options that do not depend on the algorithm."""
    return {
        name: each for name, each in get_type_hints(kind, include_extras=True).items() if name != "algorithm_options"
    }


def flat(config: Config) -> dict[str, Any]:
    """All options by name, the algorithm's among them."""
    values = {name: value for name, value in vars(config).items() if name != "algorithm_options"}
    return values | vars(config.algorithm_options)


def configure(
    base: AnyConfig, values: Mapping[str, Any], label: Callable[[str], str] = str, lenient: bool = False
) -> AnyConfig:
    """`base` with `values` in place of its own, checked. Another algorithm takes over the options that both have.

    label: how an error message names an option, of the field's name. lenient: whether it passes over options that only
    other algorithms have. Raises UsageError for an unknown name, a value of a wrong type, one out of range, or an
    algorithm that has no such side.
    """
    kind = type(base)
    common = _common(kind)
    config = merge(base, {name: value for name, value in values.items() if name in common}, label)
    entry = ALGORITHMS[config.algorithm]
    if side(kind) not in entry.sides:
        able = ", ".join(name for name, each in ALGORITHMS.items() if side(kind) in each.sides)
        raise UsageError(f"{label('algorithm')}: got {config.algorithm!r}, allowed with --{side(kind)}: {able}")
    own = annotations_of(config.algorithm, kind)
    defaults = vars(type(base.algorithm_options)())  # each algorithm has its own
    kept = {name: value for name, value in vars(base.algorithm_options).items() if name in own}
    if entry.options is not type(base.algorithm_options):
        kept = {name: value for name, value in kept.items() if value != defaults[name]}
    options = entry.options(**kept)
    for name in values:
        if name not in own and not (lenient and algorithms_with(name, kind)):
            text = name if isinstance(name, str) else shown(name)
            raise UsageError(f"{label(text)}: {_unknown(text, config.algorithm, kind)}")
    given = {name: value for name, value in values.items() if name in own and name not in common}
    return dataclasses.replace(config, algorithm_options=merge(options, given, label))


def algorithms_with(name: str, kind: type[Config] = RlConfig) -> list[str]:
    """The algorithms of a side that have an option of that name."""
    able = (algorithm for algorithm, entry in ALGORITHMS.items() if side(kind) in entry.sides)
    return [algorithm for algorithm in able if name in annotations_of(algorithm, kind)]


def _unknown(name: str, algorithm: str, kind: type[Config]) -> str:
    others = algorithms_with(name, kind)
    if others:
        return f"not an option of {algorithm}, allowed with --algorithm {', '.join(others)}"
    elsewhere = [each for each, other in SIDES.items() if other is not kind and algorithms_with(name, other)]
    if elsewhere:
        return f"not an option of runs with --{side(kind)}, allowed with --{elsewhere[0]}"
    own = annotations_of(algorithm, kind)
    return f"unknown option, allowed: the options that --help lists{nearest(name, own)}"


def names_marked(config: Config, mark: Mark) -> list[str]:
    """The options of a configuration that have a mark."""
    return names_with(type(config), mark) + names_with(type(config.algorithm_options), mark)
