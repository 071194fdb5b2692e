"""The page that --help prints: Tyro's, of dataclasses of options."""

import ast
import contextlib
import dataclasses
import inspect
import itertools
import os
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import tyro

from maml_rl.schema.flags import option_name, plain_type

LEAST_WIDTH = 60  # columns; with a few Tyro divides a line without an end


def print_help(
    parts: Mapping[str, Any], prog: str, description: str, lines: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> NoReturn:
    """Print the options of dataclass instances, each under its title, with their values, and exit with status 0.

    lines: to be added to the help of options, by their names.
    """
    pages: list[Any] = []
    for part in parts.values():
        values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        pages.append(_with_flowing_help(type(part), lines)(**values))
    page = pages[0]
    if len(pages) > 1:
        page = dataclasses.make_dataclass("Page", zip(parts, map(type, pages), strict=True))(*pages)
    with contextlib.ExitStack() as restored:
        before = os.environ.get("COLUMNS")
        os.environ["COLUMNS"] = str(max(LEAST_WIDTH, shutil.get_terminal_size().columns))
        restored.callback(lambda: os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before))
        flags_only = (tyro.conf.OmitArgPrefixes,)
        # Tyro does not wrap it.
        width = max(LEAST_WIDTH, shutil.get_terminal_size().columns)
        description = "\n\n".join(
            textwrap.fill(paragraph, width, break_on_hyphens=False) for paragraph in description.split("\n\n")
        )
        tyro.cli(type(page), prog=prog, description=description, args=["--help"], default=page, config=flags_only)
    raise AssertionError("Tyro has exited")


def _with_flowing_help(kind: type, lines: Mapping[str, Sequence[str]]) -> type:
    """A dataclass of the same fields. Tyro keeps line breaks of their docstrings; here they have none but `lines`."""
    hints, texts = get_type_hints(kind, include_extras=True), docstrings(kind)
    texts = {name: "\n".join([text, *lines.get(name, [])]) for name, text in texts.items()}
    fields = [
        (field.name, Annotated[hints[field.name], _shown_as(field, hints[field.name], texts[field.name])])
        if field.name in texts
        else (field.name, hints[field.name])
        for field in dataclasses.fields(kind)
    ]
    return dataclasses.make_dataclass(kind.__name__, fields, namespace={"__doc__": kind.__doc__})


def _shown_as(field: dataclasses.Field[Any], hint: Any, text: str) -> Any:
    """Of an option that may be None, which no one can give, the value without it, and no default: its text says it."""
    plain = plain_type(hint)
    if field.default == ():
        return tyro.conf.arg(help=text, help_behavior_hint="")
    if type(None) not in get_args(hint) or get_origin(plain) is tuple:
        return tyro.conf.arg(help=text)
    if plain is bool:
        return tyro.conf.arg(help=text, help_behavior_hint="", metavar="", aliases=(option_name(f"no_{field.name}"),))
    choices = get_args(plain) if get_origin(plain) is Literal else ()
    metavar = f"{{{','.join(choices)}}}" if choices else getattr(plain, "__name__", "value").upper()
    return tyro.conf.arg(help=text, help_behavior_hint="", metavar=metavar)


def docstrings(kind: type) -> dict[str, str]:
    """The docstring beneath each field of a dataclass and of the ones it extends, on one line."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        with contextlib.suppress(OSError):  # a class without a file
            [definition] = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            for pair in itertools.pairwise(definition.body):  # type: ignore[attr-defined]
                match pair:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                        found[name] = " ".join(text.split())
    return found
