import ctypes
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from maml_rl.machine.allocator import keep_freed_memory

if {kept}:
    keep_freed_memory()
for turn in range(20):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 * 2**20) + 1  # twice 64 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: bool) -> int:
    """Page faults of ten tensors of 64 MB and their sums, in a process of its own."""
    code = FAULTS.format(kept=kept)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_memory_that_was_freed_is_taken_again_without_page_faults() -> None:
    assert faults(kept=True) * 20 < faults(kept=False)
