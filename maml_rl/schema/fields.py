"""The fields of a dataclass of options: their marks, and values for them."""

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from maml_rl.schema.bounds import check_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Options = TypeVar("Options", bound=DataclassInstance)
else:
    Options = TypeVar("Options")


class Mark(Enum):
    """The meaning of an option beyond its value: stands in the field's Annotated."""

    FREE_ON_RESUME = auto()  # a resumed run may be told anew; the other options are the run's own
    SAME_EXPERIMENT = auto()  # runs that differ in it alone are one experiment
    SHARED = auto()  # policies that are compared on the same tasks must have it in common


def names_with(options: type, mark: Mark) -> list[str]:
    """The fields of a dataclass that have a mark."""
    annotations = get_type_hints(options, include_extras=True)
    return [name for name, each in annotations.items() if get_origin(each) is Annotated and mark in get_args(each)]


def merge(base: Options, values: Mapping[str, Any], label: Callable[[str], str] = str) -> Options:
    """`base` with `values` of its fields in place of its own, checked.

    label: how an error message names an option, of the field's name. Raises UsageError for a value of a wrong type, or
    one out of range.
    """
    annotations = get_type_hints(type(base), include_extras=True)
    checked = {name: check_value(label(name), value, annotations[name]) for name, value in values.items()}
    return dataclasses.replace(base, **checked)
