"""How a run begins, or goes on: its folder and its last checkpoint."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from maml_rl.machine.atomic_file import remove_torn
from maml_rl.meta.algorithm import State
from maml_rl.options.command_line import Source
from maml_rl.options.config import Config, DataConfig, flat, names_marked
from maml_rl.options.wiring import Setting
from maml_rl.runs.checkpoint import Checkpoint, has_checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from maml_rl.runs.directory import create_run_dir, default_run_dir, lock_run_dir, write_config
from maml_rl.schema.errors import UsageError, summary
from maml_rl.schema.fields import Mark
from maml_rl.supervised.catalogue import DATA_SETS


@contextlib.contextmanager
def open_run(source: Source, setting: Setting, begin: Callable[[], State]) -> Iterator[tuple[Path, Checkpoint]]:
    """The run's folder, held for this process, and the checkpoint that it begins with. For the first rank alone.

    begin: the state of a new run. After a torchrun restart it continues the previous ranks' run. Raises UsageError.
    """
    ranks, config = setting.ranks, setting.config
    restarted = ranks.remembered("run_dir")
    run_dir = source.resume or Path(restarted or source.run_dir or default_run_dir(config))
    first_state = None
    if not source.resume and not restarted:
        check_place(run_dir, config)
        first_state = begin()
        create_run_dir(run_dir)
        ranks.remember("run_dir", str(run_dir))
    checkpoints = run_dir / "checkpoints"
    with lock_run_dir(run_dir), resumable(run_dir):
        # A resumed run without metrics may have been killed before its first checkpoint.
        if has_checkpoint(checkpoints) or (source.resume and os.path.lexists(run_dir / "metrics.jsonl")):
            checkpoint = last_checkpoint(run_dir, setting)
        else:
            if not source.resume:
                write_config(run_dir, config)  # from here on the run can be resumed
            checkpoint = Checkpoint(first_state or begin(), 0, 0)
            save_checkpoint(checkpoints, checkpoint, config)
        for folder in (run_dir, checkpoints):  # of a process that was killed as it wrote
            remove_torn(folder)
        yield run_dir, checkpoint


def check_place(run_dir: Path, config: Config) -> None:
    """Raise UsageError for a run among the pictures that it learns from, if it learns from some."""
    if not isinstance(config, DataConfig) or config.data in DATA_SETS:
        return
    if run_dir.resolve().is_relative_to(Path(config.data).resolve()):
        got = f"--run-dir: got {str(run_dir)!r}, which is in the folder of pictures"
        raise UsageError(f"{got}, allowed: a folder elsewhere, as each folder there is a class")


@contextlib.contextmanager
def resumable(run_dir: Path) -> Iterator[None]:
    """A block whose OSError says how to go on: the files of a run cannot be written yet."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # it has been said
            raise
        how = f"go on with --resume {run_dir}" if (run_dir / "config.yaml").exists() else "begin again"
        raise OSError(f"{summary(error)}; once it can be written, {how}") from error


def last_checkpoint(run_dir: Path, setting: Setting) -> Checkpoint:
    """The last checkpoint of a run. Raises UsageError if it does not go with the run's configuration."""
    path = latest_checkpoint(run_dir / "checkpoints")
    checkpoint, made_with = load_checkpoint(path, lambda _: (setting.model, setting.initial_state))
    free = names_marked(setting.config, Mark.FREE_ON_RESUME)
    then = flat(made_with)
    for name, value in flat(setting.config).items():
        if name not in free and value != then.get(name):
            got = f"{run_dir / 'config.yaml'}: {name}: got {value!r}"
            raise UsageError(f"{got}, allowed: {then.get(name)!r}, as {path} has it")
    if setting.config.iterations < checkpoint.iteration:
        allowed = f">= {checkpoint.iteration}, which the run has done"
        raise UsageError(f"--iterations: got {setting.config.iterations}, allowed: {allowed}")
    return checkpoint
