"""Every data set, by the name that `--data` takes. Anything else that it takes is a folder of pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maml_rl.supervised.data_set import DataSet
from maml_rl.supervised.image_folder import image_folder
from maml_rl.supervised.omniglot import OmniglotSplit, omniglot
from maml_rl.supervised.picture_array import CHANNELS, Colour
from maml_rl.supervised.sinusoid import Sinusoid


@dataclass(frozen=True)
class Kind:
    """The words for `--list-data`, and the shape of an example, () if it depends on options."""

    task: str
    examples: str
    source: str
    input_shape: tuple[int, ...]
    classifies: bool


DATA_SETS: dict[str, Kind] = {
    "sinusoid": Kind("a wave y = A sin(x - phase)", "points of it", "Finn et al. 2017", (1,), classifies=False),
    "omniglot": Kind(
        "N handwritten characters of 1,623",
        "28 x 28 bits, 20 of each",
        "Lake et al. 2015",
        (1, 28, 28),
        classifies=True,
    ),
}
FOLDER = Kind("N classes of a folder", "pictures, in a folder per class", "your own", (), classifies=True)


def make_data_set(
    data: str,
    split: OmniglotSplit,
    ways: int,
    size: int,
    colour: Colour,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> DataSet:
    """The data set of that name, or the pictures of that folder. Raises UsageError for pictures that cannot be used.

    split: of Omniglot. size, colour, progress: of a folder, as of `image_folder`.
    """
    if data == "sinusoid":
        return Sinusoid()
    if data == "omniglot":
        return omniglot(split, ways)
    return image_folder(Path(data), ways, size, colour, progress)


def shape_of_examples(data: str, size: int, colour: Colour) -> tuple[int, ...]:
    """The shape of an example's input, said without the data."""
    return DATA_SETS[data].input_shape if data in DATA_SETS else (CHANNELS[colour], size, size)


def classifies(data: str) -> bool:
    """Whether tasks are classifications, said without the data."""
    return DATA_SETS.get(data, FOLDER).classifies
