"""Your own pictures: a folder with one folder of pictures per class."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from maml_rl.machine.keys import Purpose, keyed
from maml_rl.schema.bounds import check_value
from maml_rl.schema.errors import UsageError, shown, summary
from maml_rl.supervised.data_set import SPLITS, Split
from maml_rl.supervised.few_shot import FewShot
from maml_rl.supervised.picture_array import Colour, PictureSize, Source, load_pictures, picture_suffixes

# Shares of the classes to validate and to test with, as of mini-ImageNet's 64, 16 and 20.
VAL_SHARE, TEST_SHARE = 0.16, 0.2
MIN_CLASSES = 2  # of a split: a task needs two
MIN_PICTURES = 2  # of a class: one for the support set, one for the query set
MAX_PICTURES = 1_000_000


@dataclass(frozen=True)
class ImageClass:
    """A folder's pictures, ordered by name."""

    name: str  # of its folder, and of the split's folder if there is one: train/cat
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class FolderPictures:
    """The classes of a folder."""

    array: np.ndarray  # [pictures, C, H, W] uint8, class by class
    names: tuple[str, ...]
    first: tuple[int, ...]  # the number of each class's first picture, and behind the last class that of all pictures

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.array.shape
        return channels, height, width

    def count(self, of: int) -> int:
        return self.first[of + 1] - self.first[of]

    def read(self, of: int, chosen: np.ndarray) -> np.ndarray:
        return self.array[self.first[of] + chosen].astype(np.float32) / 255

    def name(self, of: int) -> str:
        return self.names[of]


def image_folder(
    folder: Path,
    ways: int = 5,
    size: int = 28,
    colour: Colour = "grey",
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> FewShot:
    """Tasks of `ways` classes, whose pictures are in folder/class/, in any format that Pillow reads.

    size: pixels of each side, to which a picture is stretched. colour: grey, or rgb. Values are from 0, black, to 1.
    The classes are those of folder/train/, folder/val/ and folder/test/ if these are there; if not, a draw, the same
    for every run, divides them by 64, 16 and 20 %. Hidden files, and files whose names do not end like a picture's, do
    not count. progress: told how many of how many pictures have been read; not called if all of them are in the cache,
    which is `picture_array.CACHE` in the folder. Raises UsageError.
    """
    check_value("--picture-size", size, PictureSize)
    check_value("--picture-colour", colour, Colour)
    by_split = _sorted_by_hand(folder) or _drawn(folder, _classes(folder, folder))
    classes = [each for split in SPLITS for each in by_split[split]]
    ends = list(accumulate(len(by_split[split]) for split in SPLITS))
    parts = np.split(np.arange(len(classes)), ends[:-1])
    array = load_pictures(folder, [source for each in classes for source in each.sources], size, colour, progress)
    first = tuple(accumulate((len(each.sources) for each in classes), initial=0))
    pictures = FolderPictures(array, tuple(each.name for each in classes), first)
    splits: dict[Split, np.ndarray] = {split: part[:, None] for split, part in zip(SPLITS, parts, strict=True)}
    return FewShot(pictures, splits, ways)


def _sorted_by_hand(folder: Path) -> dict[Split, list[ImageClass]] | None:
    """The classes of folder/train/, folder/val/ and folder/test/, if there is one of these."""
    found = _folders(folder)
    if not set(found) & set(SPLITS):
        return None
    if set(found) != set(SPLITS):
        allowed = "train, val and test, or classes and none of these"
        raise _refused(folder, f"the folders {_some(found)}", allowed)
    by_split: dict[Split, list[ImageClass]] = {split: _classes(folder, folder / split) for split in SPLITS}
    of_name: dict[str, ImageClass] = {}
    for split in SPLITS:
        if len(by_split[split]) < MIN_CLASSES:
            got = f"{_counted(by_split[split], 'class', 'classes')} in {split}"
            raise _refused(folder, got, f"{MIN_CLASSES} or more, each a folder of pictures")
        for each in by_split[split]:
            other = of_name.setdefault(Path(each.name).name, each)
            if other is not each:
                raise _refused(folder, f"both {other.name} and {each.name}", "a class in one of train, val and test")
    return by_split


def _drawn(folder: Path, classes: Sequence[ImageClass]) -> dict[Split, list[ImageClass]]:
    if len(classes) < len(SPLITS) * MIN_CLASSES:
        allowed = (
            f"{len(SPLITS) * MIN_CLASSES} or more, each a folder of pictures: {MIN_CLASSES} for each of {_some(SPLITS)}"
        )
        raise _refused(folder, _counted(classes, "class", "classes"), allowed)
    num_val, num_test = (max(MIN_CLASSES, round(share * len(classes))) for share in (VAL_SHARE, TEST_SHARE))
    order = keyed(Purpose.CLASS_SPLIT, 0).streams(1)[0].permutation(len(classes))
    parts = np.split(order, [len(classes) - num_val - num_test, len(classes) - num_test])
    return {split: [classes[number] for number in sorted(part)] for split, part in zip(SPLITS, parts, strict=True)}


def _classes(folder: Path, within: Path) -> list[ImageClass]:
    """The class of each folder in `within`, ordered by name. Their own names begin below `folder`."""
    suffixes, classes, total = picture_suffixes(), [], 0
    for name in _folders(within):
        path = within / name
        label = path.relative_to(folder).as_posix()
        named = [entry for entry in _entries(path) if os.path.splitext(entry.name)[1].lower() in suffixes]
        sources = [_source(entry, label) for entry in named if entry.is_file()]
        total += len(sources)
        if len(sources) < MIN_PICTURES:
            got = f"{_counted(sources, 'picture', 'pictures')} in {label}"
            raise _refused(folder, got, f"{MIN_PICTURES} or more of a class, straight in its folder")
        if total > MAX_PICTURES:
            raise _refused(folder, f"more than {MAX_PICTURES} pictures", f"up to {MAX_PICTURES}")
        classes.append(ImageClass(label, tuple(sources)))
    return classes


def _source(entry: os.DirEntry[str], label: str) -> Source:
    try:
        status = entry.stat()
    except OSError as error:
        raise UsageError(f"picture {shown(entry.path)}: got {summary(error)}, allowed: a readable file") from error
    return Source(f"{label}/{entry.name}", status.st_size, status.st_mtime_ns)


def _folders(path: Path) -> list[str]:
    return [entry.name for entry in _entries(path) if entry.is_dir()]


def _entries(path: Path) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden, ordered by name."""
    try:
        with os.scandir(path) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".")]
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise UsageError(f"got {shown(str(path))} ({summary(error)}), allowed: a readable folder") from error
    return sorted(seen, key=lambda entry: entry.name)


def _refused(folder: Path, got: str, allowed: str) -> UsageError:
    return UsageError(f"pictures of {shown(str(folder))}: got {got}, allowed: {allowed}")


def _counted(things: Sequence[object], one: str, many: str) -> str:
    return f"{len(things)} {one if len(things) == 1 else many}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
