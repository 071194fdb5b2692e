"""Presets: the options that configs/ ships for a family, configs/<env>.yaml or by name configs/<name>/<env>.yaml."""

from collections.abc import Iterable
from pathlib import Path

from maml_rl.options.config import Config, configure
from maml_rl.options.shipped import PRESETS
from maml_rl.options.yaml_file import read_yaml
from maml_rl.schema.errors import UsageError, nearest


def preset_names(envs: Iterable[str]) -> list[str]:
    """The presets that one family or another has by name."""
    return sorted({path.parent.name for env in envs for path in PRESETS.glob(f"*/{env}.yaml")})


def load_preset(env: str, name: str | None, envs: Iterable[str], algorithm: str | None = None) -> Config:
    """The defaults below the preset `name` of a family; None takes the family's own, of a user's class the defaults.

    envs: all families. algorithm: in place of the preset's own; it takes the options of the preset that it has.
    Raises UsageError for a name that there is not, or that the family does not have.
    """
    if name is None:
        return _load(None if ":" in env else PRESETS / f"{env}.yaml", algorithm)
    if ":" in env:
        raise UsageError(f"--preset: got {name!r}, not allowed with {env}: a class of your own has no presets")
    names, own = preset_names(envs), preset_names([env])
    if name not in names:
        raise UsageError(f"--preset: got {name!r}, allowed: {', '.join(names)}{nearest(name, names)}")
    if name not in own:
        allowed = ", ".join(own) or "none; without --preset it has its own"
        raise UsageError(f"--preset: got {name!r}, allowed for {env}: {allowed}")
    return _load(PRESETS / name / f"{env}.yaml", algorithm)


def _load(path: Path | None, algorithm: str | None) -> Config:
    values = (read_yaml(path, algorithm=algorithm) if path else {}) | ({"algorithm": algorithm} if algorithm else {})
    return configure(Config(), values, lambda name: f"{path}: {name}", lenient=True)
