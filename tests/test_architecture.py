"""Which room may import which. A new file is covered by the room it stands in."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Room by room of maml_rl/, top down: a room imports only rooms of lower rows. "" is the folder itself: the commands and
# the Python interface.
ROWS = [
    {""},
    {"runs"},
    {"options"},
    {"reports", "algorithms"},
    {"rl", "supervised"},
    {"meta"},
    {"models", "machine"},
    {"schema"},
]
COMMANDS = {"maml_rl.train", "maml_rl.evaluate", "maml_rl.plot"}

# envs/: what each room may import of the others, and of the folder itself.
CONTRACTS = {"envs.family", "envs.simulation", "envs.keyed_generator", "envs.start_states", "envs.errors"}
ENVS: dict[str, set[str]] = {
    "locomotion": {"physics", "pictures"},
    "toys": {"physics", "pictures"},
    "wrappers": {"physics", "pictures"},
    "user": {"physics", "pictures"},
    "physics": set(),
    "pictures": set(),
}


def modules(package: str) -> dict[str, Path]:
    """Every file of a package by its dotted name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert found
    return found


MODULES = modules("maml_rl") | modules("envs")


def imports(name: str) -> set[str]:
    """The modules of both packages that a module imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & MODULES.keys() - {name}


def room(name: str) -> str:
    """The folder below the package in which a module stands; "" for the package's own."""
    path = MODULES[name].relative_to(ROOT)
    return path.parts[1] if len(path.parts) > 2 else ""


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("maml_rl")])
def test_arrows_point_down(name: str) -> None:
    [row] = [row for row, rooms in enumerate(ROWS) if room(name) in rooms]
    for other in imports(name):
        if other.startswith("maml_rl") and room(other) != room(name):
            assert any(room(other) in rooms for rooms in ROWS[row + 1 :]), f"{name} imports {other}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("envs")])
def test_envs_arrows(name: str) -> None:
    for other in imports(name):
        assert other.startswith("envs"), f"{name} imports {other}: envs know nothing of maml_rl"
        if room(name) and room(other) != room(name):
            assert room(other) in ENVS[room(name)] or other in CONTRACTS, f"{name} imports {other}"


def test_every_room_says_what_it_is_for() -> None:
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), name


@pytest.mark.parametrize("name", MODULES)
def test_nothing_imports_a_command(name: str) -> None:
    assert not imports(name) & COMMANDS


def test_algorithms_do_not_know_each_other() -> None:
    rooms = [
        name for name in MODULES if name.startswith("maml_rl.algorithms.") and name != "maml_rl.algorithms.catalogue"
    ]
    for name in rooms:
        assert not imports(name) & set(rooms), name


def test_trust_region_has_never_heard_of_anything() -> None:
    assert not imports("maml_rl.meta.trust_region")


def test_imports_have_no_circle() -> None:
    # A package's own file hands on what its modules have, and importing any of them runs it.
    arrows = {name: imports(name) - {"maml_rl", "envs"} for name in MODULES if name not in ("maml_rl", "envs")}
    while arrows:
        leaves = [name for name, targets in arrows.items() if not targets & arrows.keys()]
        assert leaves, f"a circle among {sorted(arrows)}"
        for name in leaves:
            del arrows[name]
