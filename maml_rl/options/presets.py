"""Presets: the options that configs/ ships for a family or data set, <env>.yaml, or by name <name>/<env>.yaml."""

from collections.abc import Iterable
from pathlib import Path

from maml_rl.options.config import AnyConfig, RlConfig, configure, side, tasks_of
from maml_rl.options.shipped import PRESETS
from maml_rl.options.yaml_file import read_yaml
from maml_rl.schema.errors import UsageError, nearest
from maml_rl.supervised.catalogue import DATA_SETS

PICTURES = "pictures"  # the preset of all folders of pictures


def preset_names(tasks: Iterable[str]) -> list[str]:
    """The presets that one family or data set or another has by name."""
    return sorted({path.parent.name for each in tasks for path in PRESETS.glob(f"*/{each}.yaml")})


def load_preset(
    begun: AnyConfig, name: str | None, everything: Iterable[str], algorithm: str | None = None
) -> AnyConfig:
    """The defaults below the preset `name` of a family or data set; None takes its own, of a user's class none.

    begun: names the tasks. everything: all families or data sets. algorithm: in place of the preset's own; it takes the
    options of the preset that it has. Raises UsageError for a name that there is not, or that the tasks do not have.
    """
    tasks = tasks_of(begun)
    own = isinstance(begun, RlConfig) and ":" in tasks
    if not isinstance(begun, RlConfig) and tasks not in DATA_SETS:
        tasks = PICTURES
    if name is None:
        return _load(begun, None if own else PRESETS / f"{tasks}.yaml", algorithm)
    if own:
        raise UsageError(f"--preset: got {name!r}, not allowed with {tasks}: a class of your own has no presets")
    names, of_tasks = preset_names([*everything, PICTURES]), preset_names([tasks])
    if name not in names:
        raise UsageError(f"--preset: got {name!r}, allowed: {', '.join(names)}{nearest(name, names)}")
    if name not in of_tasks:
        allowed = ", ".join(of_tasks) or "none; without --preset it has its own"
        raise UsageError(f"--preset: got {name!r}, allowed for {tasks_of(begun)}: {allowed}")
    return _load(begun, PRESETS / name / f"{tasks}.yaml", algorithm)


def _load(begun: AnyConfig, path: Path | None, algorithm: str | None) -> AnyConfig:
    values = (read_yaml(path, algorithm=algorithm) if path else {}) | ({"algorithm": algorithm} if algorithm else {})
    values.pop(side(type(begun)), None)
    labels = {"algorithm": "--algorithm"} if algorithm else {}
    return configure(begun, values, lambda name: labels.get(name, f"{path}: {name}"), lenient=True)
