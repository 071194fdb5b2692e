"""The folder of a run: config.yaml, metrics.jsonl, TensorBoard event files, checkpoints/."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maml_rl.machine.atomic_file import TEMPORARY, write_atomically
from maml_rl.options.config import Config, tasks_of
from maml_rl.options.yaml_file import dump_yaml, load_stored
from maml_rl.runs.metrics_rows import read_rows
from maml_rl.schema.errors import UsageError


def default_run_dir(config: Config) -> Path:
    """runs/<env>-<seed>-<time>, with a number behind it if another run began in the same second.

    Of supervised learning the name of the data set, or of the folder of pictures, in place of the env.
    """
    name = os.path.basename(tasks_of(config)).replace(":", ".") or "pictures"
    path = Path("runs") / f"{name}-{config.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    return next(each for each in (path, *(Path(f"{path}-{n}") for n in range(2, 1000))) if not each.exists())


def create_run_dir(run_dir: Path) -> None:
    """Make a new, empty folder for a run. Raises UsageError if there is something already, or if it cannot be made."""
    try:
        checkpoints = run_dir / "checkpoints"
        run_dir.mkdir(parents=True, exist_ok=True)
        # A run that was killed as it began leaves an empty one, and perhaps a temporary file.
        found = (path for path in (*run_dir.iterdir(), *checkpoints.glob("*")) if path != checkpoints)
        if any(not path.name.startswith(TEMPORARY) for path in found):
            allowed = f"a new or empty folder; to go on with a run: --resume {run_dir}"
            raise UsageError(f"--run-dir: got {str(run_dir)!r}, which is not empty, allowed: {allowed}")
        checkpoints.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--run-dir: got {str(run_dir)!r}, allowed: a folder that can be written ({error.strerror})"
        ) from error


@contextlib.contextmanager
def lock_run_dir(run_dir: Path) -> Iterator[None]:
    """Hold the folder for this process. Raises UsageError if another holds it, or if it cannot be written."""
    if not os.path.isdir(run_dir / "checkpoints"):
        raise UsageError(f"--resume: got {str(run_dir)!r}, which has no folder checkpoints, allowed: a run directory")
    if not all(os.access(path, os.W_OK) for path in (run_dir, run_dir / "checkpoints")):
        raise UsageError(f"--resume: got {str(run_dir)!r}, allowed: a run that can be written")
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_hold(run_dir))
        except (BlockingIOError, TimeoutError) as error:
            allowed = "a run that no other process is writing"
            raise UsageError(f"--resume: got {str(run_dir)!r}, allowed: {allowed}") from error
        yield


@contextlib.contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Lock a folder. Raises BlockingIOError or TimeoutError if another process has."""
    if sys.platform == "win32":  # folders have no locks there: a file in it has
        from filelock import FileLock

        with FileLock(folder / ".lock", timeout=0):
            yield
        return
    import fcntl  # Windows has none

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def write_config(run_dir: Path, config: Config) -> None:
    """Write config.yaml, every option resolved."""
    write_atomically(run_dir / "config.yaml", dump_yaml(config).encode())


def read_run(run_dir: Path) -> tuple[Config, list[dict[str, Any]]]:
    """The configuration and the metrics of a run. Raises UsageError if there are none."""
    if not os.path.isfile(run_dir / "config.yaml"):
        raise UsageError(f"got {str(run_dir)!r}, allowed: a run directory, with a config.yaml")
    config = load_stored(run_dir / "config.yaml", option="run")
    path = run_dir / "metrics.jsonl"
    try:
        rows, _ = read_rows(path)
    except OSError as error:
        raise UsageError(f"{run_dir}: got no metrics.jsonl ({error.strerror}), allowed: a run with metrics") from error
    if not rows:
        raise UsageError(f"{path}: got no iteration, allowed: a run with metrics")
    return config, rows
