"""Files that come with the package: presets, tasks, trained policies."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_SHIPPED = _PACKAGE / "shipped"  # setup.py copies them there; in a checkout they stand beside the package

_ROOT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent
PRESETS = _ROOT / "configs"
POLICIES = _ROOT / "checkpoints"


def found(path: Path) -> Path:
    """The path, or if there is none the file of that name that comes with the package: configs/metaworld/ml10.yaml."""
    return path if os.path.exists(path) or not os.path.isfile(_ROOT / path) else _ROOT / path


def shipped_policies() -> dict[str, Path]:
    """The checkpoint of each policy that comes with the package, by its name."""
    return {path.stem: path for path in sorted(POLICIES.glob("*.safetensors"), key=lambda path: path.stem)}
