import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maml_rl.envs import KeyedGenerator
from maml_rl.schema.errors import UsageError
from maml_rl.supervised import picture_array
from maml_rl.supervised.data_set import SPLITS
from maml_rl.supervised.few_shot import FewShot
from maml_rl.supervised.image_folder import image_folder

SUFFIXES = ("png", "jpg", "bmp", "webp", "gif", "tif")


def grey(value: int) -> Image.Image:
    return Image.new("L", (12, 9), value)


def fill(folder: Path, num_classes: int = 6, pictures: int = 4) -> Path:
    """Classes a, b, ... of pictures of one grey each, in several formats: 40 times the class, and the picture."""
    for number in range(num_classes):
        path = folder / chr(ord("a") + number)
        path.mkdir(parents=True)
        for picture in range(pictures):
            grey(40 * number + picture).convert("RGB").save(path / f"{picture}.{SUFFIXES[picture % len(SUFFIXES)]}")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "pictures")


def names(data: FewShot) -> dict[str, list[str]]:
    return {split: [data.pictures.name(int(number)) for number in data.splits[split].flat] for split in SPLITS}


def pictures(data: FewShot, name: str) -> np.ndarray:
    """[n, C, H, W] of a class."""
    numbers = [int(number) for split in SPLITS for number in data.splits[split].flat]
    [number] = [number for number in numbers if data.pictures.name(number) == name]
    return data.pictures.read(number, np.arange(data.pictures.count(number)))


def values(data: FewShot, name: str) -> list[int]:
    """The mean value of each picture of a class, as 0 to 255."""
    return [round(255 * float(picture.mean())) for picture in pictures(data, name)]


def test_pictures_of_every_format_are_read(folder: Path) -> None:
    fill(folder / "more", 1, 6)
    shutil.move(folder / "more" / "a", folder / "g")
    shutil.rmtree(folder / "more")
    (folder / "g" / "notes.txt").write_text("no picture, and not named like one")
    (folder / "g" / ".hidden.png").write_text("nobody looks at it")
    (folder / "README.md").write_text("stands beside the classes")
    data = image_folder(folder, size=8)
    assert data.input_shape == (1, 8, 8)
    assert np.abs(np.subtract(values(data, "g"), range(6))).max() <= 2  # of lossy formats
    assert np.abs(np.subtract(values(data, "c"), [80, 81, 82, 83])).max() <= 2


def test_colour(folder: Path) -> None:
    Image.new("RGB", (5, 5), (255, 0, 51)).save(folder / "a" / "0.png")
    in_rgb, in_grey = (image_folder(folder, size=4, colour=colour) for colour in ("rgb", "grey"))
    picture = pictures(in_rgb, "a")[0]
    assert in_rgb.input_shape == picture.shape == (3, 4, 4)
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture.mean(axis=(1, 2)), [1, 0, 0.2], atol=1e-6)
    assert values(in_grey, "a")[0] == round(0.299 * 255 + 0.114 * 51)


def test_pictures_that_are_not_plain(folder: Path) -> None:
    """Of 16 bits; transparent, which is white; lying on their side; not square."""
    names = ("0.png", "1.png", "2.png", "3.jpg")
    for name in os.listdir(folder / "a"):
        (folder / "a" / name).unlink()
    Image.fromarray(np.full((6, 6), 0x4000, np.uint16)).save(folder / "a" / names[0])
    Image.new("RGBA", (6, 6), (0, 0, 0, 0)).save(folder / "a" / names[1])
    half = np.zeros((40, 80), np.uint8)
    half[:, 40:] = 255  # black on the left, white on the right
    Image.fromarray(half).save(folder / "a" / names[2])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    Image.fromarray(half).save(folder / "a" / names[3], exif=exif)
    data = image_folder(folder, size=8)
    assert values(data, "a")[:2] == [0x40, 255]
    _, _, left_right, turned = pictures(data, "a")[:, 0]
    assert left_right[:, :3].max() < 0.1
    assert left_right[:, -3:].min() > 0.9
    assert turned[:3].max() < 0.1
    assert turned[-3:].min() > 0.9


def test_the_draw_of_the_split(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pictures", 20, 2)
    split = names(image_folder(folder))
    assert [len(split[name]) for name in SPLITS] == [13, 3, 4]
    assert sorted(name for part in split.values() for name in part) == [chr(ord("a") + number) for number in range(20)]
    assert names(image_folder(folder)) == split


def test_a_split_by_hand(tmp_path: Path) -> None:
    for number, split in enumerate(SPLITS):
        for name in ("p", "q"):
            (tmp_path / split / f"{split}-{name}").mkdir(parents=True)
            for picture in range(2):
                grey(50 * number + picture).save(tmp_path / split / f"{split}-{name}" / f"{picture}.png")
    data = image_folder(tmp_path)
    assert names(data) == {split: [f"{split}/{split}-{name}" for name in ("p", "q")] for split in SPLITS}
    assert values(data, "val/val-q") == [50, 51]
    tasks = FewShot(data.pictures, data.splits, ways=2).sample_tasks("test", 3, KeyedGenerator(1))
    assert {data.pictures.name(int(number)) for number in tasks.flatten()} == {"test/test-p", "test/test-q"}
    (tmp_path / "test" / "train-p").mkdir()
    for picture in range(2):
        grey(picture).save(tmp_path / "test" / "train-p" / f"{picture}.png")
    with pytest.raises(UsageError, match="got both train/train-p and test/train-p, allowed: a class in one of"):
        image_folder(tmp_path)


def test_episodes(folder: Path) -> None:
    data = image_folder(folder, ways=2, size=4)
    data.check("test", 1, 3)
    tasks = data.sample_tasks("test", 5, KeyedGenerator(1))
    support, query = data.examples(tasks, 1, 3, KeyedGenerator(2))
    assert support.inputs.shape == (5, 2, 1, 4, 4)
    for task, classes in enumerate(tasks.long().tolist()):
        for label, number in enumerate(classes):
            of_class = [each.inputs[task][each.targets[task, :, label] == 1] for each in (support, query)]
            seen = sorted((255 * torch.cat(of_class).mean(dim=(1, 2, 3))).round().int().tolist())
            assert seen == sorted(values(data, data.pictures.name(number))), "each of the four once"


def test_progress_and_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    first = image_folder(folder, progress=lambda n, m: seen.append((n, m)))
    assert seen == [(8, 24), (16, 24), (24, 24)]
    monkeypatch.setattr(picture_array, "_read", None)  # who reads now, fails
    again = image_folder(folder, progress=lambda n, m: seen.append((n, m)))
    assert len(seen) == 3
    assert all(values(first, name) == values(again, name) for name in "abcdef")
    with pytest.raises(TypeError):
        image_folder(folder, size=9)
    with pytest.raises(TypeError):
        image_folder(folder, colour="rgb")


def touch(folder: Path) -> None:
    path = folder / "a" / "0.png"
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def replace(folder: Path) -> None:
    path = folder / "a" / "0.png"
    before = path.stat().st_mtime_ns
    Image.new("RGB", (400, 300), (7, 70, 17)).save(path)
    os.utime(path, ns=(before, before))


@pytest.mark.parametrize(
    "change",
    [
        touch,
        replace,
        lambda folder: os.rename(folder / "a" / "0.png", folder / "a" / "00.png"),
        lambda folder: (folder / "a" / "0.png").unlink(),
        lambda folder: grey(3).save(folder / "a" / "more.png"),
        lambda folder: (folder / ".maml_rl-28-grey.cache").write_bytes(b"torn"),
        lambda folder: (folder / ".maml_rl-28-grey.cache").write_bytes(bytes(32 + 24 * 28 * 28)),
    ],
)
def test_a_changed_file_is_seen(folder: Path, change: Callable[[Path], object]) -> None:
    seen: list[int] = []
    for _ in range(2):
        image_folder(folder, progress=lambda n, _: seen.append(n))
    assert len(seen) == 3
    change(folder)
    data = image_folder(folder, progress=lambda n, _: seen.append(n))
    assert len(seen) > 3
    fresh = shutil.copytree(folder, folder.parent / "copy", ignore=shutil.ignore_patterns(".*"))
    assert all(values(data, name) == values(image_folder(fresh), name) for name in "abcdef")
    assert not list(folder.glob(".new-*"))


def test_a_folder_that_cannot_be_written_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    expected = values(image_folder(folder), "b")
    (cache,) = folder.glob(".*")
    cache.unlink()
    monkeypatch.setattr("tempfile.mkstemp", refuse)  # root, who runs tests in a container, may write anywhere
    assert values(image_folder(folder), "b") == expected
    assert not list(folder.glob(".*"))


def bomb(path: Path, side: int) -> None:
    """A PNG whose header promises side x side pixels, and holds next to nothing."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def only(folder: Path, number: int) -> None:
    for path in sorted(folder.iterdir())[number:]:
        shutil.rmtree(path)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN = r"picture '.*{}': got a broken file \(.+\), allowed: a picture"
REFUSED = r"pictures of '.*pictures': got {}"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda folder: (folder / "a" / "0.png").write_text("not a picture"), BROKEN.format(r"a/0\.png")),
        (lambda folder: (folder / "b" / "1.jpg").write_bytes(b""), BROKEN.format(r"b/1\.jpg")),
        # A program in PostScript, which Pillow would have Ghostscript run.
        (lambda folder: grey(9).save(folder / "a" / "0.png", format="EPS"), BROKEN.format(r"a/0\.png")),
        (lambda folder: halve(folder / "b" / "0.png"), BROKEN.format(r"b/0\.png")),
        (lambda folder: halve(folder / "b" / "1.jpg"), BROKEN.format(r"b/1\.jpg")),
        (
            lambda folder: bomb(folder / "a" / "0.png", 8000),
            r"picture .* got 8000 x 8000 pixels, allowed: up to 50000000",
        ),
        (lambda folder: bomb(folder / "a" / "0.png", 12000), r"picture .* got 12000 x 12000 pixels, allowed: up to 5"),
        (
            lambda folder: bomb(folder / "a" / "0.png", 60000),
            r"picture .* got far more pixels, allowed: up to 50000000",
        ),
        (lambda folder: (folder / "x").mkdir(), REFUSED.format("0 pictures in x, allowed: 2 or more of a class")),
        (
            lambda folder: [each.unlink() for each in (folder / "c").glob("[123]*")],
            REFUSED.format("1 picture in c, all"),
        ),
        (lambda folder: only(folder, 5), REFUSED.format("5 classes, allowed: 6 or more, each a folder of pictures")),
        (lambda folder: only(folder, 1), REFUSED.format("1 class, allowed: 6")),
        (lambda folder: only(folder, 0), REFUSED.format("0 classes, allowed: 6")),
        (lambda folder: shutil.rmtree(folder), r"got '.*pictures' \(.*No such file.*\), allowed: a readable folder"),
        (
            lambda folder: (shutil.rmtree(folder), folder.write_text("")),
            r"got '.*' \(.*Not a dir.*\), allowed: a readable",
        ),
        (
            lambda folder: (folder / "train").mkdir(),
            REFUSED.format("the folders a, b, c, d, e, ..., allowed: train, val"),
        ),
        (
            lambda folder: (only(folder, 0), [(folder / split).mkdir() for split in SPLITS]),
            REFUSED.format("0 classes in train, allowed: 2 or more"),
        ),
    ],
)
def test_bad_folders_are_refused_in_one_line(folder: Path, change: Callable[[Path], object], line: str) -> None:
    change(folder)
    with pytest.raises(UsageError, match=line) as error:
        image_folder(folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_all_broken_pictures_are_named_at_once(folder: Path) -> None:
    broken = [path for each in "ab" for path in sorted((folder / each).iterdir())]
    for path in broken:
        path.write_bytes(b"")
    with pytest.raises(UsageError, match=r"a/0\.png.*; and 7 more: 'a/1.*, \.\.\.$") as error:
        image_folder(folder)
    assert "\n" not in str(error.value)


def test_more_than_memory_holds_is_refused_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_array, "free_memory", lambda device: 1_000_000)
    monkeypatch.setattr(picture_array, "_read", None)
    with pytest.raises(UsageError, match=r"got 24 pictures of 500 x 500 pixels x 3, which take 0\.036 GB, allowed: as"):
        image_folder(folder, size=500, colour="rgb")


@pytest.mark.parametrize("size", [3, 1001])
def test_a_size_that_is_none(folder: Path, size: int) -> None:
    with pytest.raises(UsageError, match=f"--picture-size: got {size}, allowed: an integer >= 4 and <= 1000"):
        image_folder(folder, size=size)
