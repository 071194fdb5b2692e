"""Options in YAML: presets, --config files, and the config.yaml of a run."""

from pathlib import Path
from typing import Any

import yaml

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.options.config import Config, beginning, configure, flat
from maml_rl.options.rl_options import RlOptions
from maml_rl.options.training import Training
from maml_rl.schema.documents import DocumentError, parse_yaml, read_text
from maml_rl.schema.errors import UsageError, nearest, shown

# The options that name the tasks and the algorithm: they choose the preset, and what it is read for.
NAMING = ("env", "variant", "data", "algorithm")


def load_stored(path: Path, option: str) -> Config:
    """The configuration that a run wrote into a file, maybe one of an earlier version. Raises UsageError.

    Options of other algorithms are passed over.
    """
    return _of_a_run(read_yaml(path, option, stored=True), str(path))


def read_yaml(
    path: Path, option: str = "--config", stored: bool = False, algorithm: str | None = None
) -> dict[str, Any]:
    """The options in a YAML file, unchecked, as an algorithm has them: `algorithms` may hold some for each.

    algorithm: None takes the file's own. Raises UsageError if it cannot be read or parsed.
    """
    try:
        text = read_text(path)
    except DocumentError as error:
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a readable YAML file ({error})") from error
    return _of_algorithm(_parse(text, str(path), stored), algorithm, str(path))


def parse_config(text: str, label: str) -> Config:
    """The configuration in the YAML of a run. Raises UsageError, beginning with `label`."""
    return _of_a_run(_parse(text, label, stored=True), label)


def _of_a_run(values: dict[str, Any], label: str) -> Config:
    if not values:
        raise UsageError(f"{label}: got a config without options, allowed: that of a run")
    return configure(beginning(values), values, lambda name: f"{label}: {name}", lenient=True)


def dump_yaml(config: Config) -> str:
    """All options, the algorithm's among them."""
    return yaml.safe_dump(flat(config) | {"hidden_sizes": list(config.hidden_sizes)}, sort_keys=False)


def _parse(text: str, label: str, stored: bool) -> dict[str, Any]:
    try:
        values = parse_yaml(text)
    except DocumentError as error:
        raise UsageError(f"{label}: got what cannot be parsed ({error}), allowed: YAML") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{label}: got a {type(values).__name__}, allowed: a YAML mapping of options to values")
    return _present_options(values) if stored else values


def _of_algorithm(values: dict[Any, Any], algorithm: str | None, label: str) -> dict[Any, Any]:
    """The values with those of one algorithm, in `algorithms`, above the others. Raises UsageError."""
    parts = values.get("algorithms", {})
    if not isinstance(parts, dict) or not all(isinstance(part, dict) for part in parts.values()):
        raise UsageError(f"{label}: algorithms: got {shown(parts)}, allowed: options for each algorithm, by its name")
    unknown = next((name for name in parts if name not in ALGORITHMS), None)
    if unknown is not None:
        hint = nearest(str(unknown), ALGORITHMS)
        raise UsageError(f"{label}: algorithms: got {shown(unknown)}, allowed: {', '.join(ALGORITHMS)}{hint}")
    for name, part in parts.items():
        naming = next((each for each in NAMING if each in part), None)
        if naming:
            raise UsageError(f"{label}: algorithms: {name}: got the option {naming}, allowed: all others")
    values = {name: value for name, value in values.items() if name != "algorithms"}
    own = values.get("algorithm", Training.algorithm) if algorithm is None else algorithm
    return values | (parts.get(own, {}) if isinstance(own, str) else {})


def _present_options(values: dict[Any, Any]) -> dict[Any, Any]:
    """The options of a run of version 0.1.0 as today's: the curvature of as many steps."""
    values = dict(values)
    episodes = values.pop("curvature_episodes", None)
    of = values.get("episodes_per_task", RlOptions.episodes_per_task)
    if isinstance(episodes, int) and isinstance(of, int) and "curvature_stride" not in values:
        values["curvature_stride"] = max(1, (of + episodes // 2) // episodes) if episodes > 0 else 1
    return values
