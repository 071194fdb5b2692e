"""The values that an option may take."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from maml_rl.schema.errors import UsageError, nearest, shown


@dataclass(frozen=True)
class Within:
    """The values that a number may take: low <= value <= high, or low < value if `open_low`."""

    low: float = -inf
    high: float = inf
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.open_low else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low = "" if self.low == -inf else f"{'>' if self.open_low else '>='} {self.low}"
        high = "" if self.high == inf else f"<= {self.high}"
        return " and ".join(part for part in (low, high) if part)


@dataclass(frozen=True)
class OneOf:
    """The names that a text may be."""

    choices: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """Names that a text or a path may be, beside others: a shell completes them. Called when a shell asks."""

    names: Callable[[], Iterable[str]]
    or_file: bool = False  # of a text; a path is one anyway


Count = Annotated[int, Within(1, 1_000_000)]
Fraction = Annotated[float, Within(0, 1)]


MAX_LIST = 10_000

_MISFIT = object()


def check_value(label: str, value: Any, annotation: Any) -> Any:
    """`value` in the type of `annotation`; raises UsageError, naming `label`, if it does not fit."""
    allowed, converted = _fit(value, annotation)
    if converted is _MISFIT:
        hint = nearest(str(value), choices) if (choices := choices_of(annotation)) and isinstance(value, str) else ""
        raise UsageError(f"{label}: got {shown(value)}, allowed: {allowed}{hint}")
    return converted


def choices_of(annotation: Any) -> tuple[str, ...]:
    """The names that an option may be; none if it is not one of some names."""
    annotation, *extras = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    names = next((extra.choices for extra in extras if isinstance(extra, OneOf)), ())
    return get_args(annotation) if get_origin(annotation) is Literal else names


def _fit(value: Any, annotation: Any) -> tuple[str, Any]:
    """The allowed values, in words; and the value in the type of `annotation`, or _MISFIT if it does not fit."""
    if choices := choices_of(annotation):
        return ", ".join(choices), value if isinstance(value, str) and value in choices else _MISFIT
    annotation, *extras = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    within = next((extra for extra in extras if isinstance(extra, Within)), Within())
    if NoneType in get_args(annotation):
        of_value = next(each for each in get_args(annotation) if each is not NoneType)
        allowed, converted = _fit(value, Annotated[of_value, *extras] if extras else of_value)
        return f"{allowed}, or none", None if value is None else converted
    if get_origin(annotation) is tuple:
        element = get_args(annotation)[0]
        fits = isinstance(value, (list, tuple)) and len(value) <= MAX_LIST
        parts = [_fit(part, element)[1] for part in value] if fits else [_MISFIT]
        return f"a list of up to {MAX_LIST}: {_fit(None, element)[0]}", _MISFIT if _MISFIT in parts else tuple(parts)
    if annotation is bool:
        return "true or false", value if isinstance(value, bool) else _MISFIT
    if annotation is str:
        return "text", value if isinstance(value, str) else _MISFIT
    bounds = f" {within}" if str(within) else ""
    if annotation is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and value in within
        return f"an integer{bounds}", value if fits else _MISFIT
    assert annotation is float, annotation
    number = None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        # YAML 1.1 reads 1e-5, without a point, as text.
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
    fits = number is not None and abs(number) < inf and number in within
    return f"a number{bounds}", number if fits else _MISFIT


def check_each_once(values: Sequence[object], option: str = "") -> None:
    """Raise UsageError for a value that stands among others like it. option: that they were given by."""
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise UsageError(f"{f'{option}: ' if option else ''}got {twice} twice, allowed: each once")
