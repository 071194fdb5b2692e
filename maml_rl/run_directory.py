"""The folder of a run: config.yaml, metrics.jsonl, TensorBoard event files, checkpoints/."""

import time
from pathlib import Path

from maml_rl.atomic_file import write_atomically
from maml_rl.config import Config, UsageError, dump_yaml


def default_run_dir(config: Config) -> Path:
    return Path("runs") / f"{config.env}-{config.seed}-{time.strftime('%Y%m%d-%H%M%S')}"


def create_run_dir(run_dir: Path) -> None:
    """Make a new, empty folder for a run. Raises UsageError where there is something already, or where it cannot be."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if any(run_dir.iterdir()):
            allowed = f"a new or empty folder; to go on with a run: --resume {run_dir}"
            raise UsageError(f"--run-dir: got {str(run_dir)!r}, which is not empty, allowed: {allowed}")
        (run_dir / "checkpoints").mkdir()
    except OSError as error:
        raise UsageError(
            f"--run-dir: got {str(run_dir)!r}, allowed: a folder that can be written ({error.strerror})"
        ) from error


def write_config(run_dir: Path, config: Config) -> None:
    """Write config.yaml, every option resolved."""
    write_atomically(run_dir / "config.yaml", dump_yaml(config).encode())
