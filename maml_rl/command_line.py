"""From argv to a checked configuration: defaults < preset of the family < --config FILE < flags."""

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro

from maml_rl.config import PRESETS, Config, UsageError, check_value, load_yaml, merge, nearest


@dataclass(frozen=True)
class Options(Config):
    """The command line: the configuration of a run, and where it comes from and goes to."""

    config: Path | None = None
    """YAML file of options, above the family's preset in configs/ and below the flags."""
    run_dir: Path | None = None
    """Folder to write the run into; must be new or empty. Default: runs/<env>-<seed>-<time>."""
    resume: Path | None = None
    """Run directory to go on with, from its last checkpoint and with its options."""


# What a resumed run may be told anew. The rest decides what it computes, and is the run's own.
FREE_ON_RESUME = ["iterations", "device", "num_threads", "checkpoint_every"]


def parse_command_line(argv: Sequence[str], prog: str, description: str, envs: Sequence[str]) -> Options:
    """Check argv and merge it with the presets. Prints help and exits with status 0 where asked for.

    envs: the names that --env takes. Raises UsageError with a line for the user for anything that is not right.
    """
    asks_for_help = any(token in ("-h", "--help") for token in argv)
    try:
        flags = _read_flags([token for token in argv if token not in ("-h", "--help")])
        base = _base(flags, envs)
    except UsageError:
        if not asks_for_help:
            raise
        argv, base = ["--help"], Config()
    defaults = Options(**dataclasses.asdict(base))
    options = tyro.cli(Options, prog=prog, description=description, args=list(argv), default=defaults)
    if options.curvature_episodes > options.episodes_per_task:
        allowed = f"0 to {options.episodes_per_task}, as --episodes-per-task has it"
        raise UsageError(f"--curvature-episodes: got {options.curvature_episodes}, allowed: {allowed}")
    return options


def _base(flags: dict[str, Any], envs: Sequence[str]) -> Config:
    """The configuration below the flags. Raises UsageError where flags, files and families do not go together."""
    if "resume" in flags:
        for other in ("config", "run_dir"):
            if other in flags:
                raise UsageError(f"{_option(other)}: not allowed with --resume, which takes the run's own")
        source = flags["resume"] / "config.yaml"
        if not os.path.isfile(source):  # unlike Path.is_file, false for a name that is too long
            raise UsageError(f"--resume: got {str(flags['resume'])!r}, allowed: a run directory, with a config.yaml")
        base = load_yaml(source, Config(), option="--resume")
        for name, value in flags.items():
            if hasattr(base, name) and value != getattr(base, name) and name not in FREE_ON_RESUME:
                allowed = f"allowed: {getattr(base, name)!r}, as the run began"
                raise UsageError(f"{_option(name)}: got {value!r} with --resume, {allowed}")
        _check_env(base.env, envs, f"{source}: env")
        return base
    file: Path | None = flags.get("config")
    given = load_yaml(file, Config()) if file else Config()
    env, variant = flags.get("env", given.env), flags.get("variant", given.variant)
    _check_env(env, envs, "--env" if "env" in flags else f"{file}: env")
    preset = PRESETS / ("" if variant == "maml" else variant) / f"{env}.yaml"
    if not preset.exists():
        raise UsageError(f"--variant: got {variant!r}, allowed for {env}: maml")
    base = load_yaml(preset, Config())
    return merge(load_yaml(file, base) if file else base, {"env": env, "variant": variant})


def _check_env(env: str, envs: Sequence[str], label: str) -> None:
    if env not in envs:
        raise UsageError(f"{label}: got {env!r}, allowed: {', '.join(envs)}{nearest(env, envs)}")


def _read_flags(argv: Sequence[str]) -> dict[str, Any]:
    """The flags given, by field name, checked. Tyro's own messages are boxes of several lines; these are one line."""
    annotations = get_type_hints(Options, include_extras=True)
    flags: dict[str, list[str]] = {}
    name = None
    for token in argv:
        if re.match(r"--|-[a-zA-Z]", token) and not (name and re.fullmatch(r"-(inf|nan)", token, re.IGNORECASE)):
            option, has_value, value = token.partition("=")
            name = option.lstrip("-").replace("-", "_")
            if name not in annotations or not option.startswith("--"):
                options = [_option(valid) for valid in annotations]
                hint = nearest(option, options) or "; see --help"
                raise UsageError(f"{option}: unknown option, allowed: {', '.join(options)}{hint}")
            flags[name] = [value] if has_value else []
        elif name is None:
            raise UsageError(f"{token!r}: unexpected value, allowed: options that begin with --; see --help")
        else:
            flags[name].append(token)
    return {name: _flag_value(name, tokens, annotations[name]) for name, tokens in flags.items()}


def _flag_value(name: str, tokens: list[str], annotation: Any) -> Any:
    option = _option(name)
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if get_origin(plain) is tuple:
        return check_value(option, [_number(token) for token in tokens], annotation)
    if len(tokens) != 1:
        raise UsageError(f"{option}: got {' '.join(tokens) or 'no value'}, allowed: one value")
    if Path in get_args(plain) and not tokens[0]:
        raise UsageError(f"{option}: got '', allowed: a path")
    if Path in get_args(plain):
        return Path(tokens[0])
    return check_value(option, _number(tokens[0]) if plain is int else tokens[0], annotation)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _number(token: str) -> int | str:
    return int(token) if re.fullmatch(r"[+-]?[0-9]{1,18}", token) else token
