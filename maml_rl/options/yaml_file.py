"""Options in YAML: presets, --config files, and the config.yaml of a run."""

from pathlib import Path
from typing import Any

import yaml

from maml_rl.options.config import Config, configure, flat
from maml_rl.schema.errors import UsageError


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe loader, for which a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path, base: Config, option: str = "--config", stored: bool = False) -> Config:
    """`base` below the options in a YAML file. Raises UsageError if it cannot be read, parsed or understood.

    stored: whether a run wrote the file, maybe one of an earlier version: options of other algorithms are passed over.
    """
    return configure(base, read_yaml(path, option, stored), lambda name: f"{path}: {name}", lenient=stored)


def read_yaml(path: Path, option: str = "--config", stored: bool = False) -> dict[str, Any]:
    """The options in a YAML file, unchecked. Raises UsageError if it cannot be read or parsed."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a readable YAML file ({reason})") from error
    return _parse(text, str(path), stored)


def parse_yaml(text: str, base: Config, label: str) -> Config:
    """`base` below the options in the YAML of a run. Raises UsageError, beginning with `label`."""
    return configure(base, _parse(text, label, stored=True), lambda name: f"{label}: {name}", lenient=True)


def dump_yaml(config: Config) -> str:
    """All options, the algorithm's among them."""
    return yaml.safe_dump(flat(config) | {"hidden_sizes": list(config.hidden_sizes)}, sort_keys=False)


def _parse(text: str, label: str, stored: bool) -> dict[str, Any]:
    try:
        values = yaml.load(text, _UniqueKeyLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise UsageError(f"{label}: got what cannot be parsed ({where}), allowed: YAML") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{label}: got a {type(values).__name__}, allowed: a YAML mapping of options to values")
    return _present_options(values) if stored else values


def _present_options(values: dict[Any, Any]) -> dict[Any, Any]:
    """The options of a run of version 0.1.0 as today's: the curvature of as many steps."""
    values = dict(values)
    episodes = values.pop("curvature_episodes", None)
    if isinstance(episodes, int) and "curvature_stride" not in values:
        of = values.get("episodes_per_task", Config.episodes_per_task)
        values["curvature_stride"] = max(1, round(of / episodes)) if episodes else 1
    return values
