"""What the benchmarks share: medians, memory, and a description of the machine."""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch


def median_seconds(*functions: Callable[[], object], repeats: int, device: torch.device) -> list[float]:
    """Median wall seconds of each function. They take turns, so as to see the same load; the first turn is warm-up."""
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, spent in zip(functions, seconds, strict=True):
            synchronize(device)
            start = time.perf_counter()
            function()
            synchronize(device)
            if turn > 0:
                spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in seconds]


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def machine(device: torch.device) -> dict[str, str | int]:
    """Where a figure was measured."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    load = f"{os.getloadavg()[0]:.1f}"
    return {"cpu": cpu, "cores": os.cpu_count() or 0, **gpu, "load": load, "date": time.strftime("%Y-%m-%d")}
