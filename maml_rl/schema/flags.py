"""Command-line flags, read and checked by a dataclass of options.

`help_page` prints the help; Tyro's own messages for bad input are boxes of several lines, these are one line.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro

from maml_rl.schema.bounds import check_value
from maml_rl.schema.errors import UsageError, nearest, shown


def read_flags(argv: Sequence[str], *options: type, positional: str | None = None) -> dict[str, Any]:
    """The flags given, by field name of the dataclasses `options`, each in the type of its field; the last one counts.

    positional: the field that takes the values before the first flag, or anywhere after a flag has its own. Raises
    UsageError for an unknown flag, and for a value of a wrong type or out of range.
    """
    annotations: dict[str, Any] = {}
    for each in options:
        annotations |= get_type_hints(each, include_extras=True)
    annotations = {name: each for name, each in annotations.items() if tyro.conf.Suppress not in get_args(each)}
    flags: dict[str, list[str]] = {}
    name = positional
    for token in argv:
        if re.match(r"--|-[a-zA-Z]", token) and not (name and re.fullmatch(r"-(inf|nan)", token, re.IGNORECASE)):
            option, has_value, value = token.partition("=")
            name = option.lstrip("-").replace("-", "_")
            negated = name.startswith("no_") and plain_type(annotations.get(name[3:])) is bool
            name = name.removeprefix("no_") if negated else name
            if name not in annotations or name == positional or not option.startswith("--"):
                choices = [option_name(valid) for valid in annotations if valid != positional]
                allowed = f"the options that --help lists{nearest(option, choices)}"
                raise UsageError(f"{option}: unknown option, allowed: {allowed}")
            flags[name] = [value] if has_value else []
            if plain_type(annotations[name]) is bool and not has_value:
                flags[name] = ["false" if negated else "true"]
                name = positional
        elif name is None:
            raise UsageError(f"{token!r}: unexpected value, allowed: options that begin with --; see --help")
        else:
            flags.setdefault(name, []).append(token)
            if positional and not takes_many(annotations[name]):
                name = positional
    return {name: _flag_value(name, tokens, annotations[name], positional) for name, tokens in flags.items()}


def option_name(field: str) -> str:
    """--inner-lr, of inner_lr."""
    return f"--{field.replace('_', '-')}"


def _flag_value(name: str, tokens: list[str], annotation: Any, positional: str | None) -> Any:
    option = option_name(name)
    plain = plain_type(annotation)
    if name == positional or get_args(plain)[:1] == (Path,):
        return tuple(_path(option, token) for token in tokens)
    if get_origin(plain) is tuple:
        values = [check_value(option, number(token), get_args(plain)[0]) for token in tokens]
        return check_value(option, values, without_none(annotation))
    if len(tokens) != 1:
        raise UsageError(f"{option}: got {' '.join(tokens) or 'no value'}, allowed: one value")
    if plain is bool:
        return check_value(option, {"true": True, "false": False}.get(tokens[0], tokens[0]), annotation)
    if plain is Path:
        return _path(option, tokens[0])
    return check_value(option, number(tokens[0]) if plain is int else tokens[0], without_none(annotation))


def without_none(annotation: Any) -> Any:
    """X, of X | None."""
    alternatives = [each for each in get_args(annotation) if each is not type(None)]
    return alternatives[0] if type(None) in get_args(annotation) else annotation


def plain_type(annotation: Any) -> Any:
    """The type alone: without None and Annotated's additions."""
    annotation = without_none(annotation)
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def takes_many(annotation: Any) -> bool:
    return get_origin(plain_type(annotation)) is tuple


def _path(option: str, token: str) -> Path:
    if not token or "\0" in token:
        raise UsageError(f"{option}: got {shown(token)}, allowed: a path")
    return Path(token)


def number(token: str) -> int | str:
    """A text as an integer, if it is one of a sensible length; otherwise as it is."""
    return int(token) if re.fullmatch(r"[+-]?[0-9]{1,18}", token) else token
