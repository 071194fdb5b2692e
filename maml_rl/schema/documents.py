"""JSON and YAML within limits: a document that is too large, nested too deep, or of another kind is refused at once."""

import json
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 100_000_000
MAX_JSON = {",": 4_000_000, "[": 500_000, "{": 500_000}  # of each character: as many are parsed in a second or two
MAX_YAML = 200_000  # characters: it is parsed at a tenth of JSON's rate
MAX_SCALAR = 1_000  # characters of a value or key in YAML: 1:1:1:... is one number, of sixty times the digits
MAX_ITEMS = 1_000_000  # of a YAML document, with each alias in place
MAX_DEPTH = 20
# A part of a reason of Python's, which only programmers understand, and the words for everybody.
PLAIN = {"integer string conversion": "a number has too many digits", "UTF-8 BOM": "it begins with a byte-order mark"}


class DocumentError(ValueError):
    """A document that cannot be read. The message is the reason, in a few words."""

    def __init__(self, reason: str) -> None:
        plain = next((words for part, words in PLAIN.items() if part in reason), reason)
        super().__init__(" ".join(plain.split())[:200])


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast, if PyYAML has it


class _UniqueKeyLoader(_Loader):
    """The safe loader, for which a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[Any] = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):  # the safe loader says what is wrong with another
                if key in keys:
                    reason = f"key {key!r} stands there twice"
                    raise yaml.constructor.ConstructorError(None, None, reason, key_node.start_mark)
                keys.add(key)
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """The text of a file. Raises DocumentError if there is none, or too much of it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DocumentError(f"it is larger than {MAX_BYTES} bytes")
        return content.decode()
    except UnicodeDecodeError as error:
        raise DocumentError("it is not a text file") from error
    except (OSError, ValueError) as error:  # a ValueError if the path has a zero byte
        raise DocumentError(getattr(error, "strerror", None) or str(error)) from error


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises DocumentError."""
    for character, most in MAX_JSON.items():
        if text.count(character) > most:
            raise DocumentError(f"it has more than {most} {character!r}")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DocumentError(str(error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(value)
    return value


def parse_yaml(text: str) -> Any:
    """The value of a YAML text. Raises DocumentError, also if its aliases stand for more than MAX_ITEMS items."""
    if len(text) > MAX_YAML:
        raise DocumentError(f"it has more than {MAX_YAML} characters")
    try:
        _check_events(text)
        loader = _UniqueKeyLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node)
        return loader.construct_document(node)
    except RecursionError as error:
        raise _too_deep() from error
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(str(error).replace('in "<unicode string>", ', "")) from error
    except (TypeError, ArithmeticError, LookupError, AttributeError) as error:  # PyYAML's constructors on !!bool x
        raise DocumentError(f"a value does not go with its tag: {error}") from error


def _check_events(text: str) -> None:
    """Raise DocumentError if a YAML text is nested too deep, on which libyaml's composer would overflow the stack, or
    has a scalar that is too long.
    """
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.ScalarEvent):
            if len(event.value) > MAX_SCALAR:
                raise DocumentError(f"it has a value of more than {MAX_SCALAR} characters")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH + 1:
                raise _too_deep()
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_deep() -> DocumentError:
    return DocumentError(f"it is nested more than {MAX_DEPTH} deep")


def _check_depth(value: Any) -> None:
    """Raise DocumentError if a value of JSON is nested too deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        parts = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, (dict, list)))
        level = [each for children in parts for each in children if isinstance(each, (dict, list))]
    if any(level):
        raise _too_deep()


def _child_nodes(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return (part for pair in node.value for part in pair)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _measure(root: yaml.Node) -> None:
    """Raise DocumentError if a YAML tree is nested too deep or has too many items, each alias counted where it stands.

    Takes time in proportion to the parts alone, each of which is seen once.
    """
    seen: dict[int, tuple[int, int]] = {}  # of each part: its items, and how deep they are nested

    def measure(part: yaml.Node, depth: int) -> tuple[int, int]:
        if id(part) in seen:
            return seen[id(part)]
        if depth > MAX_DEPTH:  # also of a part that contains itself
            raise _too_deep()
        items, height = 1, 0
        for child in _child_nodes(part):
            of_child, height_of_child = measure(child, depth + 1)
            items, height = items + of_child, max(height, 1 + height_of_child)
        seen[id(part)] = items, height
        return items, height

    items, height = measure(root, 0)
    if height > MAX_DEPTH:
        raise _too_deep()
    if items > MAX_ITEMS:
        raise DocumentError(f"its aliases stand for {items:.1g} items" if items > 10 * MAX_ITEMS else "it is too large")
