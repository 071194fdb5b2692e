"""A run's metrics on disk: metrics.jsonl and TensorBoard event files."""

import contextlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from torch.utils.tensorboard import SummaryWriter

from maml_rl.machine.atomic_file import unused, write_atomically
from maml_rl.meta.algorithm import Metrics
from maml_rl.runs.metrics_rows import LARGEST, read_rows
from maml_rl.schema.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MetricsWriter:
    """Appends one JSON object per iteration to metrics.jsonl, and the same numbers to TensorBoard.

    Each call raises OSError if what it is given cannot be written.
    """

    def __init__(self, run_dir: Path, first_iteration: int, every: int = 1) -> None:
        """first_iteration: the next one of the run. Lines of later iterations, which no checkpoint has, are removed.

        every: iterations between two lines.
        """
        path = run_dir / "metrics.jsonl"
        self.notice = ""  # for the user
        if os.path.lexists(path):  # also a link that leads nowhere
            kept, lacking = _before(path, first_iteration, every)
            content = path.read_bytes()
            if lacking:
                aside = unused(f"{path}.damaged")
                write_atomically(aside, content)
                self.notice = f"{path} lacks {lacking} of {first_iteration // every} iterations; as it was: {aside}"
            if kept != content:
                write_atomically(path, kept)
        elif first_iteration >= every:
            self.notice = f"{path} lacks all of {first_iteration // every} iterations: there was no such file"
        self._file = path.open("ab", buffering=0)  # nothing is left to be written as it is closed
        # TensorBoard's thread hands an OSError on to the next call, and need not print it too.
        self._hook, threading.excepthook = threading.excepthook, self._unless_handed_on
        self._tensorboard = SummaryWriter(run_dir, purge_step=first_iteration)

    def write(self, metrics: Metrics) -> None:
        """metrics: with the key `iteration`. Numbers that are not finite, or beyond LARGEST, become null."""
        values = {key: value if abs(value) <= LARGEST else None for key, value in metrics.items()}
        line = memoryview(f"{json.dumps(values)}\n".encode())
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            error.filename = self._file.name
            raise
        for key, value in metrics.items():
            if key != "iteration":
                self._tensorboard.add_scalar(key, value, int(metrics["iteration"]))
        self._tensorboard.flush()

    def add_scalar(self, key: str, value: float, iteration: int) -> None:
        """A number for TensorBoard alone."""
        self._tensorboard.add_scalar(key, value, iteration)
        self._tensorboard.flush()

    def add_summary(self, summary: Summary, iteration: int) -> None:
        """A summary for TensorBoard, as its event files hold them."""
        self._tensorboard._get_file_writer().add_summary(summary, iteration)
        self._tensorboard.flush()

    def add_text(self, key: str, lines: Sequence[str], iteration: int) -> None:
        """Lines for TensorBoard's text tab, as they are."""
        self._tensorboard.add_text(key, "\n".join(f"    {line}" for line in lines), iteration)  # a block of code
        self._tensorboard.flush()

    def add_gif(self, key: str, gif: bytes, size: tuple[int, int], iteration: int) -> None:
        """An encoded GIF for TensorBoard, which plays it. size: its height and width, pixels."""
        image = Summary.Image(height=size[0], width=size[1], colorspace=3, encoded_image_string=gif)
        self.add_summary(Summary(value=[Summary.Value(tag=key, image=image)]), iteration)

    def add_figure(self, key: str, figure: "Figure", iteration: int) -> None:
        """A matplotlib figure for TensorBoard."""
        self._tensorboard.add_figure(key, figure, iteration)
        self._tensorboard.flush()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        with contextlib.suppress(OSError):  # every call has flushed, and has raised it
            self._tensorboard.close()
        threading.excepthook = self._hook

    def _unless_handed_on(self, failure: "threading.ExceptHookArgs") -> None:
        if not issubclass(failure.exc_type, OSError):
            self._hook(failure)


def _before(path: Path, first_iteration: int, every: int) -> tuple[bytes, int]:
    """The lines of a metrics.jsonl before `first_iteration`, and how many are lacking. Raises UsageError."""
    try:
        rows, lines = read_rows(path)
    except OSError as error:
        raise UsageError(f"{path}: got what cannot be read ({error.strerror}), allowed: metrics of a run") from error
    kept = [line for row, line in zip(rows, lines, strict=True) if row["iteration"] < first_iteration]
    due = sum((row["iteration"] + 1) % every == 0 for row in rows if row["iteration"] < first_iteration)  # not the last
    return b"".join(kept), first_iteration // every - due
