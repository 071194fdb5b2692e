"""Which room may import which. A new file is covered by the room it stands in."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Room by room of maml_rl/, top down: a room imports only rooms of lower rows. "" is the folder itself: the commands and
# the Python interface. envs/, whose files and folders know nothing of the others, is below them all.
ROWS = [
    {""},
    {"comparison"},
    {"page"},
    {"evaluation"},
    {"interface"},
    {"runs"},
    {"options"},
    {"reports", "algorithms"},
    {"rl", "supervised"},
    {"meta"},
    {"models", "machine"},
    {"schema"},
    {"envs"},
]
COMMANDS = {"maml_rl.train", "maml_rl.evaluate", "maml_rl.plot", "maml_rl.report", "maml_rl.compare"}

# maml_rl/envs/: what each room may import of the others, and of the folder itself.
PACKAGE = "maml_rl.envs"
CONTRACTS = {f"{PACKAGE}.{name}" for name in ("family", "simulation", "keyed_generator", "start_states", "errors")}
ENVS: dict[str, set[str]] = {
    "locomotion": {"physics", "pictures"},
    "toys": {"physics", "pictures"},
    "wrappers": {"physics", "pictures"},
    "user": {"physics", "pictures"},
    "physics": set(),
    "pictures": set(),
}


def modules() -> dict[str, Path]:
    """Every file of the package by its dotted name."""
    found = {}
    for path in sorted((ROOT / "maml_rl").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert found
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """The modules of the package that a module imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            assert "envs" not in found, f"{name}: the name of the link in the checkout, which no wheel has"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module
            assert node.module.split(".")[0] != "envs", f"{name}: the name of the link in the checkout"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & MODULES.keys() - {name}


def room(name: str, depth: int = 1) -> str:
    """The folder in which a module stands, `depth` folders below the repository; "" if it stands higher."""
    parts = MODULES[name].relative_to(ROOT).parts
    return parts[depth] if len(parts) > depth + 1 else ""


@pytest.mark.parametrize("name", MODULES)
def test_arrows_point_down(name: str) -> None:
    [row] = [row for row, rooms in enumerate(ROWS) if room(name) in rooms]
    for other in imports(name):
        if room(other) != room(name) and other != "maml_rl":
            assert any(room(other) in rooms for rooms in ROWS[row + 1 :]), f"{name} imports {other}"


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) == "envs"])
def test_envs_arrows(name: str) -> None:
    for other in imports(name) - {"maml_rl"}:  # `from maml_rl import envs`
        assert room(other) == "envs", f"{name} imports {other}: envs know nothing of the rest"
        own, of_other = room(name, 2), room(other, 2)
        if own and of_other != own:
            assert of_other in ENVS[own] or other in CONTRACTS | {PACKAGE}, f"{name} imports {other}"


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
    handing_on = {"maml_rl", PACKAGE}
    arrows = {name: imports(name) - handing_on for name in MODULES if name not in handing_on}
    while arrows:
        leaves = [name for name, targets in arrows.items() if not targets & arrows.keys()]
        assert leaves, f"a circle among {sorted(arrows)}"
        for name in leaves:
            del arrows[name]
