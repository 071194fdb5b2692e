"""The configuration of a benchmark: its own options and, behind --, those of maml_rl.train."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from maml_rl import envs
from maml_rl.options.command_line import parse_command_line
from maml_rl.options.config import RlConfig, flat
from maml_rl.schema.bounds import OneOf
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name

# A family that MuJoCo simulates.
Simulated = Annotated[str, OneOf(tuple(name for name in envs.ENVS if envs.has_physics(name)))]


def training_config(prog: str, given: Mapping[str, object], flags: Sequence[str]) -> RlConfig:
    """What maml_rl.train would train with: preset < `given` < `flags`.

    given: options by name. None is left to the preset, and so is `physics` if MuJoCo does not simulate the family.
    Raises UsageError for bad input, and for flags that say where a run goes.
    """
    if flags and not flags[0].startswith("-"):
        raise UsageError(f"{flags[0]!r}: unexpected value behind --, allowed: options that begin with --")
    has_physics = envs.has_physics(str(given["env"]))
    values = {name: value for name, value in given.items() if name != "physics" or has_physics}
    argv = [part for name, value in values.items() if value is not None for part in (option_name(name), str(value))]
    config, source = parse_command_line([*argv, *flags], prog, "", list(envs.ENVS))
    chosen = flat(config) | vars(source)
    for name in ("run_dir", "resume", "list_envs", "list_algorithms", "keep_best", "video_every"):
        if chosen[name]:
            raise UsageError(f"{option_name(name)}: not allowed here, as nothing is written")
    return config
