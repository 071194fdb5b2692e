"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawings of each (Lake et al. 2015)."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from maml_rl.machine.keys import Purpose, keyed
from maml_rl.supervised.data_set import SPLITS, Split
from maml_rl.supervised.few_shot import FewShot

OmniglotSplit = Literal["finn", "vinyals"]

FILE = Path(__file__).parent / "data" / "omniglot28.npz"
SIZE = 28  # pixels, of each side
TURNS = 4  # a character turned by 0, 90, 180 and 270 degrees is four classes
FINN_SIZES = {"train": 1100, "val": 100, "test": 423}  # characters


@dataclass(frozen=True)
class Drawings:
    """Class 4 c + k is character c, turned by k times 90 degrees to the left."""

    bits: np.ndarray  # [characters, drawings, bytes] uint8: pixels by eights, ink = 1
    names: tuple[str, ...]  # of the characters
    vinyals_split: np.ndarray  # [characters], an index into SPLITS

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, SIZE, SIZE

    def count(self, of: int) -> int:
        return self.bits.shape[1]

    def read(self, of: int, chosen: np.ndarray) -> np.ndarray:
        character, turns = divmod(of, TURNS)
        upright = np.unpackbits(self.bits[character, chosen], axis=-1).reshape(-1, *self.shape)
        return np.rot90(upright, turns, axes=(-2, -1)).astype(np.float32)

    def name(self, of: int) -> str:
        character, turns = divmod(of, TURNS)
        return self.names[character] + (f" turned by {90 * turns} degrees" if turns else "")


@cache
def drawings() -> Drawings:
    """The drawings that come with the package."""
    with np.load(FILE, allow_pickle=False) as file:
        names = tuple(
            f"{alphabet}/{character}" for alphabet, character in zip(file["alphabet"], file["character"], strict=True)
        )
        return Drawings(file["images"], names, file["vinyals_split"])


def omniglot(split: OmniglotSplit = "finn", ways: int = 5) -> FewShot:
    """Tasks of `ways` characters.

    finn: all characters, shuffled once and for all: 1,100 to train, 100 to validate, 423 to test. A task has distinct
    characters, each of them turned at random, in tests too (Finn et al. 2017, the authors' code; their shuffle is
    another). vinyals: 1,028, 172 and 423 characters by the list of Vinyals et al. 2016, as Snell et al. 2017 use them;
    the four turns of a character are classes of their own, in all splits.
    """
    pictures = drawings()
    if split == "vinyals":
        parts = [np.flatnonzero(pictures.vinyals_split == number) for number in range(len(SPLITS))]
    else:
        order = keyed(Purpose.CLASS_SPLIT, 0).streams(1)[0].permutation(len(pictures.names))
        parts = np.split(order, np.cumsum([FINN_SIZES[name] for name in SPLITS])[:-1])
    turned: dict[Split, np.ndarray] = {
        name: TURNS * np.sort(characters)[:, None] + np.arange(TURNS)
        for name, characters in zip(SPLITS, parts, strict=True)
    }
    if split == "vinyals":
        turned = {name: classes.reshape(-1, 1) for name, classes in turned.items()}
    return FewShot(pictures, turned, ways)
