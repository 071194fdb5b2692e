"""From argv to a checked configuration: defaults < preset < --config FILE < flags."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from maml_rl.options.config import Config
from maml_rl.options.presets import load_preset, preset_names
from maml_rl.options.yaml_file import load_yaml
from maml_rl.schema.errors import UsageError, nearest
from maml_rl.schema.fields import Mark, merge, names_with
from maml_rl.schema.flags import option_name, read_flags


@dataclass(frozen=True)
class Options(Config):
    """The command line: the configuration of a run, and where it comes from and goes to."""

    preset: str | None = None
    """Published protocol, a folder of configs/: maml-paper, as the policies of Finn et al. 2017 were really trained, or
    promp, as --variant promp takes it. Default: what learns best here, configs/<env>.yaml."""
    config: Path | None = None
    """YAML file of options, above the preset and below the flags."""
    run_dir: Path | None = None
    """Folder to write the run into; must be new or empty. Default: runs/<env>-<seed>-<time>."""
    resume: Path | None = None
    """Run directory to go on with, from its last checkpoint and with its options."""
    list_envs: bool = False
    """Print the families of tasks, as --variant has them, and stop."""


def parse_command_line(argv: Sequence[str], prog: str, description: str, envs: Sequence[str]) -> Options:
    """Check argv and merge it with the presets. Prints help and exits with status 0 where asked for.

    envs: the names that --env takes, beside those of users' classes, "module:Class". Raises UsageError with a line for
    the user for anything that is not right.
    """
    asks_for_help = any(token in ("-h", "--help") for token in argv)
    try:
        flags = read_flags([token for token in argv if token not in ("-h", "--help")], Options)
        base = _base(flags, envs)
    except UsageError:
        if not asks_for_help:
            raise
        flags, base = {}, Config()
    if asks_for_help:
        defaults = Options(**dataclasses.asdict(base))
        tyro.cli(Options, prog=prog, description=description, args=["--help"], default=defaults)
    return Options(**(dataclasses.asdict(base) | flags))


def _base(flags: dict[str, Any], envs: Sequence[str]) -> Config:
    """The configuration below the flags. Raises UsageError where flags, files and families do not go together."""
    if flags.get("list_envs"):
        return Config()
    if "resume" in flags:
        for other in ("preset", "config", "run_dir"):
            if other in flags:
                raise UsageError(f"{option_name(other)}: not allowed with --resume, which takes the run's own")
        source = flags["resume"] / "config.yaml"
        if not os.path.isfile(source):  # unlike Path.is_file, false for a name that is too long
            raise UsageError(f"--resume: got {str(flags['resume'])!r}, allowed: a run directory, with a config.yaml")
        base = load_yaml(source, Config(), option="--resume", stored=True)
        free = names_with(Config, Mark.FREE_ON_RESUME)
        for name, value in flags.items():
            if hasattr(base, name) and value != getattr(base, name) and name not in free:
                allowed = f"allowed: {getattr(base, name)!r}, as the run began"
                raise UsageError(f"{option_name(name)}: got {value!r} with --resume, {allowed}")
        _check_env(base.env, envs, f"{source}: env")
        return base
    file: Path | None = flags.get("config")
    given = load_yaml(file, Config()) if file else Config()
    env, variant = flags.get("env", given.env), flags.get("variant", given.variant)
    _check_env(env, envs, "--env" if "env" in flags else f"{file}: env")
    preset = flags.get("preset", None if variant == "maml" else variant)
    if "preset" not in flags and preset is not None and preset not in preset_names([env]):
        raise UsageError(f"--variant: got {variant!r}, allowed for {env}: maml")
    base = load_preset(env, preset, envs)
    above = load_yaml(file, base) if file else base
    variant = flags.get("variant", above.variant)
    if variant != base.variant:
        label = "--variant" if "variant" in flags else f"{file}: variant"
        raise UsageError(f"{label}: got {variant!r}, allowed with --preset {preset}: {base.variant}")
    return merge(above, {"env": env, "variant": variant})


def _check_env(env: str, envs: Sequence[str], label: str) -> None:
    if env not in envs and ":" not in env:
        raise UsageError(f"{label}: got {env!r}, allowed: {', '.join(envs)}, module:Class{nearest(env, envs)}")
