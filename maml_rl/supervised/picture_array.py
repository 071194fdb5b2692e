"""Picture files as one array, which is read from them once and then from a cache."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from maml_rl.machine.atomic_file import write_atomically
from maml_rl.machine.memory import free_memory
from maml_rl.machine.threads import parallel_map
from maml_rl.schema.bounds import Within
from maml_rl.schema.errors import UsageError, shown, summary

Colour = Literal["grey", "rgb"]
PictureSize = Annotated[int, Within(4, 1000)]  # pixels
CHANNELS: dict[Colour, int] = {"grey": 1, "rgb": 3}
MODES: dict[Colour, str] = {"grey": "L", "rgb": "RGB"}  # Pillow's

MAX_PIXELS = 50_000_000  # of a file: its picture takes up to 200 MB, and as much again to be converted
NAMED = 5  # pictures, beside the first, that an error message names
AT_ONCE = 8  # pictures, on as many threads at most, between two calls of `progress`

CACHE = ".maml_rl-{size}-{colour}.cache"  # in the folder: a digest, then the array's bytes
CACHE_FORMAT = 1  # raise it if the same files would give another array


class Source(NamedTuple):
    """A file of a picture, and what tells that it is still the same."""

    name: str  # its path within the folder, with /
    size: int  # bytes
    mtime_ns: int


@cache
def formats() -> tuple[str, ...]:
    """The formats that Pillow reads by itself: not EPS, which is a program that Ghostscript would run."""
    Image.init()
    return tuple(sorted(Image.OPEN.keys() - {"EPS"}))


def picture_suffixes() -> frozenset[str]:
    """The ends of file names, such as .png, that tell one of these formats."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats())


def load_pictures(
    folder: Path, sources: Sequence[Source], size: int, colour: Colour, progress: Callable[[int, int], None]
) -> np.ndarray:
    """The pictures [n, C, size, size] uint8 of a folder, out of its cache if none of the files has changed.

    A folder that cannot be written to gets no cache. Raises UsageError for pictures that cannot be read, after all of
    them have been tried, and if all of them together do not fit into memory.
    """
    shape = (len(sources), CHANNELS[colour], size, size)
    _check_memory(folder, shape)
    digest, path = _digest(sources, size, colour), folder / CACHE.format(size=size, colour=colour)
    if (cached := _cached(path, digest, shape)) is not None:
        return cached
    array, errors = np.empty(shape, np.uint8), dict[str, UsageError]()

    def read(number: int) -> None:
        try:
            array[number] = _read(folder, sources[number], size, colour)
        except UsageError as error:
            errors[sources[number].name] = error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of what it puts up with, and of sizes that we check
        for begin in range(0, len(sources), AT_ONCE):
            numbers = range(begin, min(begin + AT_ONCE, len(sources)))
            parallel_map(read, numbers)
            progress(numbers.stop, len(sources))
    if errors:
        first, *others = sorted(errors)
        raise UsageError(f"{errors[first]}{_others(others)}") from errors[first]
    with suppress(OSError):  # a folder that is read-only, or a full disk: the next run reads the pictures again
        write_atomically(path, b"".join((digest, array.reshape(-1).data)))
    return array


def _others(names: Sequence[str]) -> str:
    """What an error message says of the other pictures that cannot be read."""
    listed = ", ".join(shown(name) for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"; and {len(names)} more: {listed}" if names else ""


def _check_memory(folder: Path, shape: tuple[int, int, int, int]) -> None:
    needed, free = 2 * int(np.prod(shape, dtype=np.int64)), free_memory(torch.device("cpu"))  # the array, and its bytes
    if needed > free:
        number, channels, size, _ = shape
        got = f"{number} pictures of {size} x {size} pixels x {channels}, which take {needed / 1e9:.3g} GB"
        allowed = f"as many and as large as fit into the {free / 1e9:.1f} GB that are free"
        raise UsageError(f"pictures of {shown(str(folder))}: got {got}, allowed: {allowed}")


def _digest(sources: Sequence[Source], size: int, colour: Colour) -> bytes:
    """Of the files and of all else that the array depends on."""
    digest = hashlib.sha256(f"{CACHE_FORMAT} {size} {colour} {len(sources)}\0".encode())
    for name, length, mtime_ns in sources:
        digest.update(os.fsencode(name) + f"\0{length} {mtime_ns}\0".encode())
    return digest.digest()


def _cached(path: Path, digest: bytes, shape: tuple[int, int, int, int]) -> np.ndarray | None:
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size - len(digest)
            if length != np.prod(shape, dtype=np.int64) or file.read(len(digest)) != digest:
                return None
            return np.fromfile(file, np.uint8, length).reshape(shape)
    except (OSError, ValueError):  # none, none of ours, or cut short as it was read
        return None


def read_picture(picture: Path | Image.Image, size: int, colour: Colour) -> np.ndarray:
    """One picture [C, size, size] uint8, a file or Pillow's, read as those of a folder are. Raises UsageError."""
    if isinstance(picture, Image.Image):
        return _brought(picture, size, colour)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read(picture.parent, Source(picture.name, 0, 0), size, colour)


def _read(folder: Path, source: Source, size: int, colour: Colour) -> np.ndarray:
    """One picture [C, size, size] uint8."""
    path = folder / source.name
    try:
        with Image.open(path, formats=formats()) as image:
            width, height = image.size
            if width * height <= MAX_PIXELS:
                # JPEG decodes at 1/2, 1/4 or 1/8 of the size in a fraction of the time.
                image.draft(None, (4 * size, 4 * size))
                return _brought(image, size, colour)
    except Image.DecompressionBombError as error:
        raise _too_large(path, "far more pixels") from error
    except FileNotFoundError as error:
        raise UsageError(f"picture {shown(str(path))}: got no such file, allowed: a picture") from error
    except Exception as error:  # Pillow's decoders raise a dozen kinds, SyntaxError and struct.error among them
        reason = "no picture in it" if isinstance(error, Image.UnidentifiedImageError) else summary(error)
        raise UsageError(f"picture {shown(str(path))}: got a broken file ({reason}), allowed: a picture") from error
    raise _too_large(path, f"{width} x {height} pixels")


def _brought(image: Image.Image, size: int, colour: Colour) -> np.ndarray:
    """[C, size, size] uint8: stretched, as mini-ImageNet's pictures are."""
    upright = ImageOps.exif_transpose(image)
    small = _plain(upright, colour).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(small).reshape(size, size, -1).transpose(2, 0, 1)


def _too_large(path: Path, got: str) -> UsageError:
    return UsageError(f"picture {shown(str(path))}: got {got}, allowed: up to {MAX_PIXELS} pixels")


def _plain(image: Image.Image, colour: Colour) -> Image.Image:
    """Grey or RGB, of 8 bits, on white if the picture is transparent."""
    if image.mode.startswith("I"):  # 16 bits, of which Pillow would take all values from 255 on as white
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8)).convert(MODES[colour])
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(MODES[colour])
