"""Memory that this process may still take."""

from pathlib import Path

import psutil
import torch

CGROUP = Path("/sys/fs/cgroup")  # of a container or a cluster's job, on Linux


def free_memory(device: torch.device) -> int:
    """Bytes that are free: of the machine, within the limit of this process's container; or of a CUDA device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available
    try:
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such limit, or "max"
        return free
    return min(free, limit - used)
