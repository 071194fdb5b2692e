"""The promise about bad input: one line of at most 600 characters, status 2, soon, and nothing on disk changed."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from maml_rl.train import main
from tests.maml_rl.test_train import TINY

LONGEST = 600  # characters of the line
SOON = 4.0  # seconds of CPU: twice what is promised, for a core that other work shares

DEEP = "[" * 100_000
LAUGHS = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 10)}]\n" for i in range(10))
LIST_OF_LAUGHS = "".join(f"- &a{i} [{', '.join([f'*a{i - 1}' if i else '1'] * 10)}]\n" for i in range(10))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 7))
SIXTIES = "seed: 1" + ":1" * 90_000  # YAML 1.1 reads one number, in base 60
LONG_PATH = "x" * 6_000

Command = Callable[[Sequence[str]], int]


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(command: Command, arguments: list[str], folder: Path, capfd: Any, part: str = "") -> None:
    """Run the command, and check the promise. folder: holds everything on disk that it could change."""
    before = snapshot(folder)
    capfd.readouterr()
    start = time.process_time()
    status = command(arguments)
    assert time.process_time() - start < SOON
    said = capfd.readouterr()
    assert status == 2, said.err
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert len(said.err.rstrip("\n")) <= LONGEST
    assert part in said.err
    assert snapshot(folder) == before


def tiny_run(folder: Path, env: str = "navigation-2d", iterations: int = 0) -> Path:
    """A run of a few seconds at most, in folder/<env>."""
    run = folder / env
    assert main(["--env", env, *TINY, "--iterations", str(iterations), "--run-dir", str(run)]) == 0
    return run


def copy_of(run: Path, folder: Path) -> Path:
    """A copy to be damaged: folder/run."""
    return Path(shutil.copytree(run, folder / "run"))


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a checkpoint, and its metadata."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    return safetensors.torch.load_file(path), metadata
