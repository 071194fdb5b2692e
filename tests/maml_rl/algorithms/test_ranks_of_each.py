"""Every algorithm under the real torchrun: two ranks learn what one process learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.maml_rl.algorithms.catalogue_names import OF_POLICIES
from tests.maml_rl.algorithms.rank_of_each import two_iterations
from tests.maml_rl.machine.test_ranks import ROOT
from tests.maml_rl.test_train import checkpoint_bytes, without_times

RANK = Path(__file__).with_name("rank_of_each.py")


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory) -> Path:
    """A folder for each algorithm: torchrun and PyTorch start once for all."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(RANK)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    names = ",".join(OF_POLICIES)
    done = subprocess.run(
        [*command, names], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", OF_POLICIES)
def test_two_ranks_learn_what_one_process_learns(two_ranks, name) -> None:
    alone, _, expected = two_iterations(name)
    state = checkpoint_bytes(two_ranks / name, 2)
    assert state.keys() == alone.state.keys()
    for key in state:
        torch.testing.assert_close(state[key], alone.state[key], rtol=1e-4, atol=1e-6)
    rows = json.loads((two_ranks / name / "metrics.json").read_text())
    for row, wanted in zip(without_times(rows), without_times(expected), strict=True):
        assert row == pytest.approx(wanted, rel=1e-5, abs=1e-6)
