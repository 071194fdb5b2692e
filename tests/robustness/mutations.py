"""Strategies of hypothesis: what is nearly valid, and what is not at all."""

import copy
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import yaml
from hypothesis import strategies as st

any_text = st.text(st.characters(exclude_categories=()), max_size=30)  # lone surrogates too
long_text = st.builds(lambda part, times: part * times, any_text, st.sampled_from([1, 100, 5_000]))
numbers = st.one_of(
    st.integers(-3, 30),
    st.integers(),
    st.floats(),
    st.sampled_from([2**31, 2**63, 10**19, 10**400, -(10**400), 1e30, 1e308, -1e308, 5e-324]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, long_text)
json_values = st.recursive(
    scalars, lambda of: st.lists(of, max_size=4) | st.dictionaries(any_text, of, max_size=4), max_leaves=8
)
# YAML has more kinds of values than JSON.
yaml_values = st.recursive(
    st.one_of(scalars, st.binary(max_size=9), st.dates(date(1, 1, 2)), st.datetimes(datetime(1, 1, 2)), st.just({"a"})),
    lambda of: st.lists(of, max_size=4) | st.dictionaries(scalars, of, max_size=4),
    max_leaves=8,
)
yaml_soup = st.lists(
    st.sampled_from(
        ["- ", ": ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<: ", "? ", "\n", "\n  ", "---\n", "...", "%"]
    )
    | st.sampled_from(["#", "|", ">", "'", '"', "!!int ", "!!bool ", "!!set ", "!!binary ", "!!timestamp ", "!x ", "="])
    | st.sampled_from(["~", "\t", "seed", "env", "1", "1:2:3", "0x1F", ".inf", "null", "2001-01-01", "\ufeff", "\0"]),
    max_size=40,
).map("".join)


def mutated(whole: Any, replacements: st.SearchStrategy[Any] = json_values) -> st.SearchStrategy[Any]:
    """A value of lists and dicts with a few parts replaced, removed or added."""
    places = list(_places(whole))
    change = st.tuples(st.sampled_from(places), st.sampled_from(["replace", "remove", "add"]), replacements)
    return st.lists(change, max_size=3).map(lambda changes: _changed(whole, changes))


def spliced(whole: str) -> st.SearchStrategy[str]:
    """A text with a few stretches of it removed, doubled or replaced."""
    return _spliced(whole, any_text | yaml_soup)


def spliced_bytes(whole: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with a few stretches of them removed, doubled or replaced."""
    return _spliced(whole, st.binary(max_size=20))


def as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _spliced(whole: Any, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    splice = st.tuples(st.integers(0, len(whole)), st.integers(0, 12), parts, st.integers(0, 2))

    def apply(splices: Sequence[tuple[int, int, Any, int]]) -> Any:
        result = whole
        for start, length, part, copies in splices:
            result = result[:start] + result[start : start + length] * copies + part + result[start + length :]
        return result

    return st.lists(splice, max_size=3).map(apply)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all parts of a value."""
    yield path
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield from _places(value[key], (*path, key))


def _changed(whole: Any, changes: Sequence[tuple[tuple[Any, ...], str, Any]]) -> Any:
    result = copy.deepcopy(whole)
    for path, how, new in changes:
        if not path:
            result = new if how == "replace" else result
            continue
        parent: Any = result
        for key in path[:-1]:
            parent = parent[key] if _has(parent, key) else None
        if not _has(parent, path[-1]):  # an earlier change has removed it
            continue
        if how == "add" and isinstance(parent, list):
            parent.insert(path[-1], new)
        elif how == "add":
            parent[str(new)[:20]] = new
        elif how == "remove":
            del parent[path[-1]]
        else:
            parent[path[-1]] = new
    return result


def _has(parent: Any, key: Any) -> bool:
    if isinstance(parent, dict):
        return key in parent
    return isinstance(parent, list) and isinstance(key, int) and key < len(parent)
