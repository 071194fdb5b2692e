"""Options in YAML: presets, --config files, and the config.yaml of a run."""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from maml_rl.options.config import Config
from maml_rl.schema.errors import UsageError
from maml_rl.schema.fields import merge


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

    stored: whether a run wrote the file, maybe one of an earlier version.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a readable YAML file ({reason})") from error
    return parse_yaml(text, base, label=str(path), stored=stored)


def parse_yaml(text: str, base: Config, label: str, stored: bool = False) -> Config:
    """`base` below the options in YAML. Raises UsageError, beginning with `label`, if it is not understood."""
    try:
        values = yaml.load(text, _UniqueKeyLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise UsageError(f"{label}: got what cannot be parsed ({where}), allowed: YAML") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{label}: got a {type(values).__name__}, allowed: a YAML mapping of options to values")
    return merge(base, _present_options(values) if stored else values, label=f"{label}: {{}}")


def _present_options(values: dict[Any, Any]) -> dict[Any, Any]:
    """The options of a run of version 0.1.0 in those of today: the curvature of as many steps."""
    values = dict(values)
    episodes = values.pop("curvature_episodes", None)
    if isinstance(episodes, int) and "curvature_stride" not in values:
        of = values.get("episodes_per_task", Config.episodes_per_task)
        values["curvature_stride"] = max(1, round(of / episodes)) if episodes else 1
    return values


def dump_yaml(config: Config) -> str:
    values = dataclasses.asdict(config)
    values["hidden_sizes"] = list(config.hidden_sizes)
    return yaml.safe_dump(values, sort_keys=False)
