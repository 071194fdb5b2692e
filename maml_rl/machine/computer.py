"""The computer and the software that a process runs on, in words."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from maml_rl.machine.threads import num_cpus

PACKAGES = {"maml_rl": "maml_rl", "PyTorch": "torch", "MuJoCo": "mujoco", "Gymnasium": "gymnasium", "NumPy": "numpy"}
CPU_INFO = Path("/proc/cpuinfo")  # on Linux; Python knows the CPU's model on other systems alone
CHECKOUT = Path(__file__).resolve().parents[2]


def versions() -> dict[str, str]:
    """The versions of this package and of those that numbers depend on, and the commit if it runs in a checkout."""
    found = {"Python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:  # a folder on the path, which nobody has installed
            continue
    commit = _commit()
    return found | ({"commit": commit} if commit else {})


def computer(device: torch.device) -> dict[str, str]:
    """Operating system, processor, the CPUs that this process may use, memory, and the device of the models."""
    gib = psutil.virtual_memory().total / 2**30
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    found = {
        "system": platform.platform(),
        "processor": _processor(),
        "CPUs": f"{num_cpus()}",
        "memory": f"{gib:.0f} GiB",
    }
    return {name: value for name, value in (found | {"device": gpu or device.type}).items() if value}


def _processor() -> str:
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _commit() -> str:
    """The commit of the checkout, with a plus behind it if files differ from it; nothing if there is no checkout."""
    if not (CHECKOUT / ".git").exists():
        return ""
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=10, check=True).stdout
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):  # git is not here, or does not trust the folder
        return ""
    return commit.strip() + ("+" if changes.strip() else "")
