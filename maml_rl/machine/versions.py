"""The versions of what computes here: they decide last bits, and whether a run can be repeated."""

import platform
import subprocess
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the checkout, if this is one
PACKAGES = {"PyTorch": "torch", "MuJoCo": "mujoco", "Gymnasium": "gymnasium", "NumPy": "numpy"}
GIT_SECONDS = 5  # that git has to answer; a checkout on a sleeping network drive is no reason to wait


def versions() -> dict[str, str]:
    """By name: maml_rl, with the commit of a checkout, the packages that numbers depend on, and Python.

    Imports none of them. Whatever cannot be found out is said to be unknown, or left out.
    """
    commit = commit_of(ROOT)
    found = {"maml_rl": f"{_own_version()}{f' ({commit})' if commit else ''}"}
    found |= {name: _version(package) for name, package in PACKAGES.items()}
    return found | {"Python": platform.python_version()}


def in_one_line(found: Mapping[str, str]) -> str:
    """Versions in words."""
    return ", ".join(f"{name} {version}" for name, version in found.items())


def commit_of(folder: Path) -> str:
    """The commit of a checkout, "commit 9c051da" and ", changed" if files differ from it; "" if git cannot say."""
    if not (folder / ".git").exists():  # the package may be installed into a folder of somebody else's checkout
        return ""
    commit = _git(folder, "rev-parse", "--short", "HEAD")
    if not commit:
        return ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"commit {commit}{', changed' if changed else ''}"


def _git(folder: Path, *arguments: str) -> str:
    """What git says; "" if there is none, or if it fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _own_version() -> str:
    """That of the checkout, which may be newer than the one that was installed from it."""
    try:
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    except (OSError, ValueError, KeyError):
        return _version("maml_rl")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
