"""The computer that a process runs on, in words."""

import platform
from pathlib import Path

import psutil
import torch

from maml_rl.machine.threads import num_cpus

CPU_INFO = Path("/proc/cpuinfo")  # on Linux; Python knows the CPU's model on other systems alone


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
