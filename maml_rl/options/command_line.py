"""From argv to a checked configuration: defaults < preset < --config FILE < flags.

In a preset and in a file the section of the algorithm stands above the rest.
"""

import dataclasses
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import ENVS
from maml_rl.options.config import (
    Config,
    DataConfig,
    RlConfig,
    annotations_of,
    beginning,
    configure,
    flat,
    names_marked,
    side,
)
from maml_rl.options.data_effects import without_effect
from maml_rl.options.data_options import DataOptions
from maml_rl.options.list_algorithms import algorithms_of
from maml_rl.options.presets import PICTURES, load_preset, preset_names
from maml_rl.options.rl_options import RlOptions
from maml_rl.options.shipped import found
from maml_rl.options.training import Training
from maml_rl.options.yaml_file import NAMING, load_stored, read_yaml
from maml_rl.schema.bounds import Known
from maml_rl.schema.errors import UsageError, nearest, shown
from maml_rl.schema.fields import Mark
from maml_rl.schema.flags import option_name, read_flags
from maml_rl.schema.help_page import print_help
from maml_rl.supervised.catalogue import DATA_SETS


@dataclass(frozen=True)
class Source:
    """Where the configuration of a run comes from, and where the run goes."""

    preset: Annotated[str, Known(lambda: preset_names([*ENVS, *DATA_SETS, PICTURES]))] | None = None
    """Published protocol, a folder of configs/: maml-paper, as the models of Finn et al. 2017 were really trained, or
    promp, as --variant promp takes it. Default: configs/<env>.yaml, the options that learn best here."""
    config: Path | None = None
    """YAML file of options, above the preset and below the flags: your own, or one of configs/, by its path there."""
    run_dir: Path | None = None
    """Folder to write the run into; must be new or empty. Default: runs/<env>-<seed>-<time>."""
    resume: Path | None = None
    """Run directory to go on with, from its last checkpoint and with its options."""
    list_envs: bool = False
    """Print the families of tasks, as --variant has them, and stop."""
    list_data: bool = False
    """Print the data sets, and stop."""
    list_algorithms: bool = False
    """Print the algorithms, and stop."""


OPTIONS = (RlConfig, DataConfig, *dict.fromkeys(entry.options for entry in ALGORITHMS.values()), Source)


def parse_command_line(argv: Sequence[str], prog: str, description: str, envs: Sequence[str]) -> tuple[Config, Source]:
    """Check argv and merge it with the presets. Prints help and exits with status 0 if asked for.

    envs: the names that --env takes, beside the names of users' classes, "module:Class". Raises UsageError with a line
    for the user for anything that is not right.
    """
    asks_for_help = any(token in ("-h", "--help") for token in argv)
    sources = [field.name for field in dataclasses.fields(Source)]
    try:
        given = [token for token in argv if token not in ("-h", "--help")]
        flags = read_flags(given, *OPTIONS)
        source = Source(**{name: value for name, value in flags.items() if name in sources})
        options = {name: value for name, value in flags.items() if name not in sources}
        if "data" in options:
            options["data"] = _place_of(options["data"], "--data")
        base = _base(options, source, envs)
    except UsageError:
        if not asks_for_help:
            raise
        options, source, base = {}, Source(), RlConfig()
    if asks_for_help:
        of_side = RlOptions if isinstance(base, RlConfig) else DataOptions
        tasks, training = (_part(base, kind) for kind in (of_side, Training))
        parts = {"tasks": tasks, "training": training, base.algorithm: base.algorithm_options, "run": Source()}
        print_help(parts, prog, description, {"algorithm": [*algorithms_of(side(type(base))), ""]})
    config = configure(base, options, option_name)
    _check_effects(config, options)
    return config, source


def _check_effects(config: Config, given: Container[str]) -> None:
    """Raise UsageError for a flag that changes nothing."""
    unused = next((name for name in getattr(config.algorithm_options, "without_effect", []) if name in given), None)
    if unused:
        raise UsageError(f"{option_name(unused)}: no effect with --outer-step {config.algorithm_options.outer_step}")
    needed = without_effect(config) if isinstance(config, DataConfig) else {}
    if not config.keep_best:
        needed["validate_every"] = "--keep-best"
    unused = next((name for name in needed if name in given), None)
    if unused:
        raise UsageError(f"{option_name(unused)}: no effect in this run, allowed with {needed[unused]}")


def _part(config: Config, kind: type) -> Any:
    """The options of a configuration that a dataclass has."""
    return kind(**{field.name: getattr(config, field.name) for field in dataclasses.fields(kind)})


def _base(flags: dict[str, Any], source: Source, envs: Sequence[str]) -> Config:
    """The configuration below the flags. Raises UsageError if flags, files, families and data do not go together."""
    if source.list_envs or source.list_algorithms or source.list_data:
        return beginning(flags)
    if source.resume is not None:
        return _resumed(flags, source, source.resume, envs)
    file = found(source.config) if source.config else None
    given = read_yaml(file, algorithm=flags.get("algorithm")) if file else {}

    def in_file(name: str) -> str:
        return f"{file}: {name}"

    named = {name: values[name] for values in (given, flags) for name in NAMING if name in values}
    if "env" in named and "data" in named:
        raise UsageError("--data: not allowed with --env: a run learns from the one or the other")
    begun = configure(beginning(named), {name: given[name] for name in NAMING if name in given}, in_file)
    # The file's algorithm, MAML if it names none, is overruled, and with it the options that only that one has.
    trained = flags.get("algorithm", begun.algorithm)
    if trained != begun.algorithm and trained in ALGORITHMS:
        own, others = (annotations_of(each, type(begun)) for each in (trained, begun.algorithm))
        given = {name: value for name, value in given.items() if name in own or name not in others}
    given |= {name: flags[name] for name in flags if name == "algorithm"}
    if isinstance(begun, RlConfig):
        return _of_family(begun, given, flags, source, envs, str(file))
    if "data" in given:
        given["data"] = _place_of(begun.data, in_file("data"))
    data = flags.get("data") or given["data"]
    base = load_preset(DataConfig(data=data), source.preset, DATA_SETS, given.get("algorithm"))
    return configure(configure(base, given, in_file), {"data": data})


def _of_family(
    begun: RlConfig, given: dict[str, Any], flags: dict[str, Any], source: Source, envs: Sequence[str], file: str
) -> Config:
    """`_base` of a family: its preset, and above it the options that are given in the file."""
    env, variant = flags.get("env", begun.env), flags.get("variant", begun.variant)
    _check_env(env, envs, "--env" if "env" in flags else f"{file}: env")
    preset = source.preset if source.preset is not None or variant == "maml" else variant
    if source.preset is None and preset is not None and preset not in preset_names([env]):
        raise UsageError(f"--variant: got {variant!r}, allowed for {env}: maml")
    base = load_preset(RlConfig(env=env), preset, envs, given.get("algorithm"))
    above = configure(base, given, lambda name: f"{file}: {name}")
    variant = flags.get("variant", above.variant)
    if variant != base.variant:
        label = "--variant" if "variant" in flags else f"{file}: variant"
        raise UsageError(f"{label}: got {variant!r}, allowed with --preset {preset}: {base.variant}")
    return configure(above, {"env": env, "variant": variant})


def _resumed(flags: dict[str, Any], source: Source, run_dir: Path, envs: Sequence[str]) -> Config:
    """The configuration of a run that goes on."""
    for other in ("preset", "config", "run_dir"):
        if getattr(source, other) is not None:
            raise UsageError(f"{option_name(other)}: not allowed with --resume, which takes the run's own")
    path = run_dir / "config.yaml"
    if not os.path.isfile(path):  # unlike Path.is_file, false for a name that is too long
        raise UsageError(f"--resume: got {str(run_dir)!r}, allowed: a run directory, with a config.yaml")
    base = load_stored(path, option="--resume")
    free, own = names_marked(base, Mark.FREE_ON_RESUME), flat(base)
    for name, value in flags.items():
        if name in own and value != own[name] and name not in free:
            allowed = f"allowed: {own[name]!r}, as the run began"
            raise UsageError(f"{option_name(name)}: got {value!r} with --resume, {allowed}")
    if isinstance(base, RlConfig):
        _check_env(base.env, envs, f"{path}: env")
        return base
    data = flags.get("data", base.data)
    if data != base.data and (data in DATA_SETS or base.data in DATA_SETS):
        allowed = f"{base.data!r}, as the run began; a folder may be elsewhere by now"
        raise UsageError(f"--data: got {data!r} with --resume, allowed: {allowed}")
    _place_of(data, "--data" if "data" in flags else f"{path}: data")
    return base


def _place_of(data: str, label: str) -> str:
    """The name of a data set as it is, and the absolute path of a folder. Raises UsageError if it is neither."""
    if data in DATA_SETS:
        return data
    if not os.path.isdir(data):
        allowed = f"{', '.join(DATA_SETS)}, or a folder of pictures{nearest(data, DATA_SETS)}"
        raise UsageError(f"{label}: got {shown(data)}, allowed: {allowed}")
    return os.path.abspath(data)


def _check_env(env: str, envs: Sequence[str], label: str) -> None:
    if env not in envs and env in gymnasium.registry:
        allowed = "a class with make_env, sample_tasks and set_task around it, as module:Class: see docs/own-tasks.md"
        raise UsageError(f"{label}: got {env!r}, one environment of Gymnasium's, not a family, allowed: {allowed}")
    if env not in envs and ":" not in env:
        raise UsageError(f"{label}: got {env!r}, allowed: {', '.join(envs)}, module:Class{nearest(env, envs)}")
