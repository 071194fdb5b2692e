"""Films of single tasks before adaptation and after the last step, as text that a page holds."""

import base64
import io
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from maml_rl.envs.pictures.renderer import Frame
from maml_rl.evaluation.policies import PolicyResult
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.reports.evaluation import Adaptation
from maml_rl.reports.video import episodes_side_by_side, write_video

SIZE = (320, 240)  # pixels of each of the two pictures


def check_pictures(result: PolicyResult) -> None:
    """Raise RenderingError if there can be no pictures, before an episode is played again for them."""
    result.setting.family.make_renderer(result.tasks[0], *SIZE).close()


def film(result: PolicyResult, task: int, seed: int) -> tuple[str, str]:
    """A task's first episode before adaptation and after the last step, side by side: data: URIs of an MP4 and its end.

    seed: of the evaluation. Raises RenderingError if there can be no pictures.
    """
    rows = slice(task, task + 1)
    adaptation = Adaptation([each.rows(rows) for each in result.adaptation.trajectories])
    frames, fps = episodes_side_by_side(
        result.setting.config.env,
        result.setting.family,
        result.tasks[rows],
        adaptation,
        Draws(Purpose.EVALUATION_EPISODES, seed, first_task=task),
        SIZE,
        result.setting.step,
        sorted({0, len(adaptation.trajectories) - 1}),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        last: deque[Frame] = deque(maxlen=1)
        write_video(path, _kept(frames, last), fps)
        return data_uri("video/mp4", path.read_bytes()), data_uri("image/jpeg", _jpeg(last[0]))


def _kept(frames: Iterator[Frame], last: deque[Frame]) -> Iterator[Frame]:
    """The frames, the last of which is kept."""
    for frame in frames:
        last.append(frame)
        yield frame


def _jpeg(frame: Frame) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    """The content as a data: URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
