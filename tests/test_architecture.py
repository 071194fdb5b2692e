"""The import arrows that must never exist."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = [
    "trajectories",
    "distributions",
    "policies",
    "returns",
    "baseline",
    "samples",
    "inner_loss",
    "adaptation",
    "trust_region",
    "maml",
]
CORE += ["derivatives", "mlp_derivatives", "products", "parallel"]
OUTER = ["sampler", "config", "command_line", "metrics", "distributed", "checkpoint", "run_directory", "progress"]
OUTER += ["wiring", "meta_update", "evaluation", "evaluate", "meta_policy", "tasks", "flags", "output_file"]
OUTER += ["video", "figures", "plot", "validation", "families", "run_record", "presets"]


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at any depth of its code, as dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def names(path: Path, modules: list[str]) -> set[str]:
    return imports(path) & {f"maml_rl.{module}" for module in modules}


def sources(package: str) -> list[Path]:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    return paths


def test_envs_know_nothing_of_maml_rl() -> None:
    for path in sources("envs"):
        assert not {name for name in imports(path) if name.split(".")[0] == "maml_rl"}, path


def test_nothing_imports_train() -> None:
    for path in [*sources("envs"), *sources("maml_rl")]:
        assert not names(path, ["train"]), path


def test_trust_region_has_never_heard_of_rl() -> None:
    assert not {name for name in imports(ROOT / "maml_rl" / "trust_region.py") if name.startswith(("maml_rl", "envs"))}


def test_the_sampler_knows_no_outer_step() -> None:
    assert not names(ROOT / "maml_rl" / "sampler.py", ["maml", "trust_region"])


@pytest.mark.parametrize("module", CORE)
def test_the_mathematics_knows_no_machinery(module: str) -> None:
    assert not names(ROOT / "maml_rl" / f"{module}.py", OUTER)


def test_imports_have_no_circle() -> None:
    modules = {f"maml_rl.{path.stem}": path for path in sources("maml_rl")}
    arrows = {name: imports(path) & modules.keys() - {name} for name, path in modules.items()}
    while arrows:
        leaves = [name for name, targets in arrows.items() if not targets & arrows.keys()]
        assert leaves, f"a circle among {sorted(arrows)}"
        for name in leaves:
            del arrows[name]
