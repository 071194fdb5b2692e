"""Files that come with the package: presets, tasks, trained policies."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_SHIPPED = _PACKAGE / "shipped"  # setup.py copies them there; in a checkout they stand beside the package

_ROOT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent
PRESETS = _ROOT / "configs"
POLICIES = _ROOT / "checkpoints"


def shipped_policies() -> dict[str, Path]:
    """The checkpoint of each policy that comes with the package, by its name."""
    return {path.stem: path for path in sorted(POLICIES.glob("*.safetensors"))}
