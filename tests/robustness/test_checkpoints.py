"""Checkpoints that no run wrote, or that are damaged: neither evaluated nor continued."""

from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from torch import Tensor

from maml_rl import evaluate, train
from tests.robustness.promise import (
    DEEP,
    LAUGHS,
    LONG_PATH,
    MERGES,
    SIXTIES,
    assert_refused,
    copy_of,
    read_checkpoint,
    tiny_run,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("runs"))


def assert_nobody_takes(damaged: Path, folder: Path, capfd) -> None:
    """The run of which a checkpoint is damaged."""
    arguments = [str(damaged), "--tasks", "2", "--num-threads", "1", "--output", str(folder / "x.json")]
    assert_refused(evaluate.main, arguments, folder, capfd)
    assert_refused(train.main, ["--resume", str(damaged), "--iterations", "1"], folder, capfd)


def first_checkpoint(run: Path) -> Path:
    return run / "checkpoints" / "iteration-000000.safetensors"


METADATA: list[tuple[str, str]] = [
    ("iteration", "abc"),
    ("iteration", ""),
    ("iteration", "-1"),
    ("iteration", "7"),  # not that of the file's name
    ("iteration", "9" * 5_000),
    ("env_steps", "1e3"),
    ("env_steps", "9" * 5_000),
    ("format_version", "x" * 5_000),
    ("format_version", "\n\u2028"),
    ("config", ""),
    ("config", "[1]"),
    ("config", LAUGHS),
    ("config", MERGES),
    ("config", SIXTIES),
    ("config", DEEP),
    ("config", "&a {env: *a}"),
    ("config", "seed: !!bool x"),
    ("config", "seed: \x07"),
    ("validation_return", "x"),
    ("validation_return", ""),
    ("validation_return", "nan"),
]


@pytest.mark.parametrize(("name", "value"), METADATA, ids=lambda value: value[:20])
def test_metadata(run, tmp_path, capfd, name, value) -> None:
    damaged = copy_of(run, tmp_path)
    tensors, metadata = read_checkpoint(first_checkpoint(damaged))
    safetensors.torch.save_file(tensors, first_checkpoint(damaged), metadata | {name: value})
    assert_nobody_takes(damaged, tmp_path, capfd)


@pytest.mark.parametrize("value", ["x", "", "-"])
def test_the_return_of_the_best(run, tmp_path, capfd, value) -> None:
    tensors, metadata = read_checkpoint(first_checkpoint(run))
    best = copy_of(run, tmp_path) / "checkpoints" / "best.safetensors"
    safetensors.torch.save_file(tensors, best, metadata | {"validation_return": value})
    assert_refused(evaluate.main, [str(tmp_path / "run"), "--num-threads", "1"], tmp_path, capfd, "validation_return")


CONFIGS: list[dict[Any, Any]] = [
    {"hidden_sizes": [10_000] * 3},
    {"hidden_sizes": [10_000] * 9_000},
    {"hidden_sizes": "[8]"},
    {"env": "navigation-3d"},
    {"env": "no_such_module:Tasks"},
    {"env": "bandit"},
    {"algorithm": "mmal"},
    {"algorithm": ["maml"]},
    {"variant": {"a": 1}},
    {"horizon": 10**9},
    {"num_tasks": 10**6, "episodes_per_task": 10**6, "horizon": 10**6},
    {"iterations": 16**900},
    {"unknown": 1},
    {2**2_000: 1},
]


@pytest.mark.parametrize("values", CONFIGS, ids=lambda value: str(value)[:30])
def test_a_config(run, tmp_path, capfd, values) -> None:
    """In the checkpoint and in the run's config.yaml alike. Of the sizes that it says nothing is allocated."""
    damaged = copy_of(run, tmp_path)
    tensors, metadata = read_checkpoint(first_checkpoint(damaged))
    config = yaml.safe_dump(yaml.safe_load(metadata["config"]) | values)
    safetensors.torch.save_file(tensors, first_checkpoint(damaged), metadata | {"config": config})
    (damaged / "config.yaml").write_text(config)
    assert_nobody_takes(damaged, tmp_path, capfd)


WEIGHTS: dict[str, Callable[[Tensor], dict[str, Tensor]]] = {
    "fewer": lambda theta: {"theta": theta[:5]},
    "of another shape": lambda theta: {"theta": theta[None]},
    "nan": lambda theta: {"theta": theta * nan},
    "none": lambda theta: {},
    "of another name": lambda theta: {"x": theta},
    "of a name without end": lambda theta: {"\n" + "x" * 10_000: theta},
    "and others": lambda theta: {"theta": theta, "y": theta.clone()},
    "float64": lambda theta: {"theta": theta.double()},
    "float8": lambda theta: {"theta": theta.to(torch.float8_e4m3fn)},
    "bool": lambda theta: {"theta": theta > 0},
}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("change", WEIGHTS.values(), ids=WEIGHTS)
def test_weights(run, tmp_path, capfd, change, version) -> None:
    damaged = copy_of(run, tmp_path)
    tensors, metadata = read_checkpoint(first_checkpoint(damaged))
    metadata |= {"format_version": version}
    safetensors.torch.save_file(change(tensors["theta"]), first_checkpoint(damaged), metadata)
    assert_nobody_takes(damaged, tmp_path, capfd)


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[:-3],
    "the header alone": lambda whole: whole[:100],
    "a header without end": lambda whole: b"\xff" * 8 + whole[8:],
    "zeros": lambda whole: b"\0" * len(whole),
    "a pickle": lambda whole: b"\x80\x04K\x01.",
    "longer": lambda whole: whole + b"x",
}


@pytest.mark.parametrize("change", BYTES.values(), ids=BYTES)
def test_bytes(run, tmp_path, capfd, change) -> None:
    damaged = copy_of(run, tmp_path)
    whole = first_checkpoint(damaged).read_bytes()
    first_checkpoint(damaged).write_bytes(change(whole))
    assert_nobody_takes(damaged, tmp_path, capfd)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/", LONG_PATH, "a\nb", "\udcff"])
def test_a_path(tmp_path, capfd, path) -> None:
    assert_refused(evaluate.main, [path, "--num-threads", "1"], tmp_path, capfd)
