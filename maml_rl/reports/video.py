"""Videos of the same task before adaptation and after each gradient step, side by side, in real time."""

import contextlib
import errno
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from maml_rl.envs import Family, KeyedGenerator, Simulation
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.envs.pictures.renderer import Frame
from maml_rl.machine.atomic_file import TEMPORARY
from maml_rl.machine.keys import Draws
from maml_rl.reports.evaluation import Adaptation
from maml_rl.rl.trajectories import Trajectories
from maml_rl.schema.errors import UsageError

SUFFIXES = [".mp4", ".gif"]
MAX_FPS = 50  # the most that players show smoothly, and that a GIF can say (2 hundredths of a second)
CAPTION = 24  # pixels above each picture


def check_size(option: str, size: Sequence[int]) -> None:
    """Raise UsageError unless size is a width and a height that a video can have."""
    if len(size) != 2 or any(not 64 <= number <= 1920 or number % 2 for number in size):
        got = " ".join(map(str, size))
        raise UsageError(f"{option}: got {got}, allowed: width and height, even numbers from 64 to 1920")


def episodes_side_by_side(
    name: str,
    family: Family,
    tasks: Tensor,
    adaptation: Adaptation,
    draws: Draws,
    size: tuple[int, int],
    step: str = "gradient step",
    columns: Sequence[int] | None = None,
    max_fps: int = MAX_FPS,
) -> tuple[Iterator[Frame], float]:
    """The first episode of each task: a row per task, a column per step of adaptation. Returns frames and their rate.

    The rate is in 1/s. name: of the family. tasks: [V, ...], the first of those that the adaptation is of, which was
    played on the CPU. draws: of its episodes. size: width and height of each picture, pixels. step: the word for a step
    of adaptation. columns: the numbers of steps to show; None shows all. max_fps: most frames a second, 1 to MAX_FPS;
    the film is in real time all the same, and shows fewer of its moments. Raises RenderingError if the pictures cannot
    be drawn here; of a user's class each frame may.
    """
    V, K = len(tasks), len(adaptation.trajectories) - 1
    parts = [each.rows(slice(V)) for each in adaptation.trajectories]
    num_tasks, episodes, _ = parts[0].rewards.shape
    again = family.simulate(num_tasks, episodes)
    # K + 1 times [V, E, H+1, S]
    states = [replay(again, tasks, part, draws.phase(k)) for k, part in enumerate(parts)]
    renderers = [family.make_renderer(task, *size) for task in tasks]
    stride = ceil(1 / family.dt / max_fps)
    lengths = torch.stack([part.first[:, 0].sum(dim=-1) for part in parts])  # [K + 1, V], steps of each episode
    returns = [part.rewards[:, 0].cumsum(dim=-1) for part in parts]
    shown = list(range(K + 1) if columns is None else columns)
    last = int(lengths[shown].max())
    moments = [*range(0, last, stride), last]

    def picture(k: int, v: int, t: int) -> Frame:
        t = min(t, int(lengths[k, v]))
        earlier = states[k - 1][v] if k > 0 else states[k][v, :0]
        frame = renderers[v].draw(states[k][v, 0, : t + 1], earlier)
        steps = "no adaptation" if k == 0 else f"{k} {step}{'s' if k > 1 else ''}"
        so_far = float(returns[k][v, t - 1]) if t > 0 else 0.0
        return _captioned(frame, f"{name}  {family.describe(tasks[v])}", f"{steps}  return {so_far:.1f}")

    def frames() -> Iterator[Frame]:
        try:
            for t in moments:
                rows = [np.concatenate([picture(k, v, t) for k in shown], axis=1) for v in range(V)]
                yield np.concatenate(rows, axis=0)
        finally:
            for renderer in renderers:
                renderer.close()

    return frames(), 1 / (stride * family.dt)


def replay(simulation: Simulation, tasks: Tensor, trajectories: Trajectories, generator: KeyedGenerator) -> Tensor:
    """The states [V, E, H + 1, S] that the first episodes of a rollout went through, NaN after their ends.

    simulation: as the rollout's. generator: the rollout's, at its first draw. The physics is deterministic: the same
    start and the same actions lead through the very same states. Raises RenderingError if they do not.
    """
    first, H = trajectories.first, trajectories.rewards.shape[-1]
    simulation.reset(tasks, generator)
    states = [simulation.snapshot()]
    for t in range(H):
        rewards = simulation.step(trajectories.actions[:, :, t].to(simulation.device, simulation.dtype)).rewards
        mask = first[:, :, t].to(simulation.device)
        # The states are the very same; a reward's last bit depends on how many tasks stand beside each other.
        recorded = trajectories.rewards[:, :, t].to(simulation.device)
        if not torch.allclose(rewards[mask], recorded[mask], rtol=1e-9, atol=1e-9):  # only a user's class may do this
            raise RenderingError("the same start and the same actions lead to other rewards if they are played again")
        states.append(simulation.snapshot().where(mask[..., None], torch.nan))
    return torch.stack(states, dim=2).cpu()


def write_video(path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write frames [h, w, 3] as .mp4 or .gif.

    If anything fails, `path` is as before and nothing else is left. An OSError names it.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=TEMPORARY) as folder:
        temporary = Path(folder) / f"video{path.suffix.lower()}"
        try:
            (write_gif if temporary.suffix == ".gif" else _write_mp4)(temporary, frames, fps)
            temporary.replace(path)
        except OSError as error:
            if error.errno:
                error.filename = str(path)
            raise


def write_gif(file: object, frames: Iterator[Frame], fps: float) -> None:
    """Write frames [h, w, 3] as an endless GIF into a path or an open binary file."""
    images = [Image.fromarray(frame).quantize(128, dither=Image.Dither.NONE) for frame in frames]
    images[0].save(
        file,  # type: ignore[arg-type]
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / fps),
        loop=0,
    )


def _write_mp4(path: Path, frames: Iterator[Frame], fps: float) -> None:
    first = next(frames)
    height, width = first.shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=fps,  # type: ignore[arg-type] # it goes to ffmpeg as it is
        macro_block_size=2,
        quality=7,
        ffmpeg_log_level="quiet",
    )
    count = 0
    with contextlib.closing(writer):
        writer.send(None)
        for count, frame in enumerate(itertools.chain([first], frames), start=1):  # noqa: B007 - used below
            picture = np.ascontiguousarray(frame)
            try:
                writer.send(picture)
            except OSError as error:  # ffmpeg has ended
                raise OSError(errno.EIO, "ffmpeg cannot write the video") from error
    # ffmpeg writes on until it is closed, and does not say whether it could.
    try:
        whole = imageio_ffmpeg.count_frames_and_secs(str(path))[0] == count
    except RuntimeError:
        whole = False
    if not whole:
        raise OSError(errno.EIO, "ffmpeg could not write all of the video")


def _captioned(frame: Frame, what: str, result: str) -> Frame:
    """The picture below two texts: on one line if they are legible there, or else each on its own."""
    width = frame.shape[1]
    strip = Image.new("RGB", (width, CAPTION), (20, 20, 20))
    draw = ImageDraw.Draw(strip)

    def largest(line: str, sizes: range) -> int | None:
        """The largest font size that fits. 000: so that it stays the same as the return grows."""
        return next((n for n in sizes if draw.textlength(line + "000", ImageFont.load_default(n)) <= width - 8), None)

    both = f"{what}  {result}"
    size = largest(both, range(14, 10, -1))
    lines = [(both, size)] if size else [(each, largest(each, range(10, 6, -1)) or 6) for each in (what, result)]
    for number, (line, size) in enumerate(lines):
        y = CAPTION * (number + 0.5) / len(lines)
        draw.text((4, y), line, font=ImageFont.load_default(size), fill=(255, 255, 255), anchor="lm")
    return np.concatenate([np.asarray(strip), frame], axis=0)
