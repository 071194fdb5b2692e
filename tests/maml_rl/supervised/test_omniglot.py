import hashlib
import tomllib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from setuptools import Distribution
from setuptools.command.build_py import build_py

import maml_rl
from maml_rl.envs import KeyedGenerator
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.data_set import SPLITS
from maml_rl.supervised.few_shot import FewShot
from maml_rl.supervised.omniglot import FILE, drawings, omniglot

ROOT = Path(maml_rl.__file__).parent.parent
Protocol = Literal["finn", "vinyals"]
PROTOCOLS: list[Protocol] = ["finn", "vinyals"]


def upright(character: int) -> np.ndarray:
    """A character's drawings [20, 28, 28], by another way to unpack bits."""
    data = drawings().bits[character]
    return (data[:, np.arange(784) // 8] >> (7 - np.arange(784) % 8) & 1).reshape(20, 28, 28).astype(np.uint8)


@pytest.mark.parametrize(("protocol", "sizes"), [("finn", (1100, 100, 423)), ("vinyals", (4112, 688, 1692))])
def test_splits_have_the_published_sizes_and_never_mix(protocol: Protocol, sizes: tuple[int, ...]) -> None:
    data = omniglot(protocol)
    assert tuple(len(data.splits[split]) for split in SPLITS) == sizes
    characters = [set((data.splits[split] // 4).flat) for split in SPLITS]
    assert not any(one & other for one in characters for other in characters if one is not other)
    assert set.union(*characters) == set(range(1623))
    assert sorted(np.concatenate([data.splits[split].ravel() for split in SPLITS])) == list(range(4 * 1623))


def test_vinyals_split_is_the_list() -> None:
    listed = drawings().vinyals_split
    for number, split in enumerate(SPLITS):
        assert set((omniglot("vinyals").splits[split] // 4).flat) == set(np.flatnonzero(listed == number))


def test_finns_shuffle_is_one_for_all() -> None:
    """A policy trained anywhere is tested on characters that it has not seen."""
    digest = hashlib.sha256(omniglot("finn").splits["test"].astype("<i8").tobytes()).hexdigest()
    assert digest.startswith("95921d93edb8d3e1")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("split", SPLITS)
def test_an_episode_has_distinct_drawings_of_distinct_classes(
    protocol: Protocol, split: Literal["train", "val", "test"]
) -> None:
    data = omniglot(protocol, ways=6)
    tasks = data.sample_tasks(split, 20, KeyedGenerator(1))
    support, query = data.examples(tasks, 3, 2, KeyedGenerator(2))
    assert support.inputs.shape == (20, 18, 1, 28, 28)
    assert query.inputs.shape == (20, 12, 1, 28, 28)
    assert support.inputs.dtype == torch.float32
    assert set(support.inputs.unique().tolist()) == {0.0, 1.0}
    assert 0.03 < support.inputs.mean() < 0.2, "ink is 1, and there is more paper"
    for task, classes in enumerate(tasks.long().tolist()):
        assert set(classes) <= set(data.splits[split].flat)
        assert len(set(classes)) == 6
        if protocol == "finn":
            assert len({number // 4 for number in classes}) == 6
        for each, shots in ((support, 3), (query, 2)):
            labels = each.targets[task].argmax(dim=1).tolist()
            assert labels == [label for label in range(6) for _ in range(shots)]
            assert (each.targets[task].sum(dim=1) == 1).all()
        for label, number in enumerate(classes):
            # np.rot90 by 0 to 3 quarter turns, as in the authors' code.
            own = [np.rot90(drawing, number % 4).tobytes() for drawing in upright(number // 4)]
            for each in (support, query):
                for picture in each.inputs[task][each.targets[task].argmax(dim=1) == label]:
                    # Taken once: the list has a picture twice if, as of five characters, two drawings are the same.
                    own.remove(picture.numpy().astype(np.uint8).tobytes())


def test_all_turns_are_drawn_in_tests_too() -> None:
    tasks = omniglot("finn").sample_tasks("test", 200, KeyedGenerator(1))
    counts = np.bincount(tasks.long().flatten() % 4)
    assert (counts > 200).all(), counts  # of 1,000: 250 each, and a standard deviation of 14


def test_vinyals_turns_of_a_character_are_classes_that_may_meet() -> None:
    tasks = omniglot("vinyals", ways=60).sample_tasks("val", 50, KeyedGenerator(1)).long()
    assert any(len(set((task // 4).tolist())) < 60 for task in tasks)


def test_draws_depend_on_the_key_and_the_row_only() -> None:
    data = omniglot()
    tasks = data.sample_tasks("train", 6, KeyedGenerator(1))
    assert torch.equal(data.sample_tasks("train", 2, KeyedGenerator(1, first_task=4)), tasks[4:])
    assert not torch.equal(data.sample_tasks("train", 6, KeyedGenerator(3)), tasks)
    pairs = [data.examples(tasks, 1, 1, KeyedGenerator(key)) for key in (2, 2, 3)]
    inputs = [torch.cat([each.inputs for each in pair], dim=1) for pair in pairs]
    assert torch.equal(inputs[0], inputs[1])
    assert not torch.equal(inputs[0], inputs[2])
    last, _ = data.examples(tasks[4:], 1, 1, KeyedGenerator(2, first_task=4))
    assert torch.equal(last.inputs, pairs[0][0].inputs[4:])


def test_a_task_in_words() -> None:
    data = omniglot(ways=2)
    assert data.describe(torch.tensor([0.0, 7.0])) == (
        "Alphabet_of_the_Magi/character01, Alphabet_of_the_Magi/character02 turned by 270 degrees"
    )


@pytest.mark.parametrize(
    ("data", "shots", "line"),
    [
        (omniglot(ways=101), 1, "--ways: got 101, allowed: 2 to 100, the number of val classes"),
        (omniglot(ways=1), 1, "--ways: got 1, allowed: 2 to 100, the number of val classes"),
        (omniglot(), 6, "--shots + --queries: got 6 + 15 = 21, allowed: up to 20 in all, the pictures of "),
    ],
)
def test_episodes_that_cannot_be(data: FewShot, shots: int, line: str) -> None:
    with pytest.raises(UsageError) as error:
        data.check("val", shots, 15)
    assert str(error.value).startswith(line)
    omniglot(ways=100).check("val", 5, 15)


def test_the_data_goes_into_the_wheel_with_its_licence() -> None:
    assert FILE.stat().st_size < 1_000_000
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    command = build_py(Distribution({"package_data": settings["package-data"]}))
    command.finalize_options()
    command.manifest_files = {}  # else it builds an egg-info to look there too
    found = command.find_data_files("maml_rl.supervised", str(FILE.parent.parent))
    assert {Path(path).name for path in found} == {"omniglot28.npz", "LICENSE"}
    assert "Copyright (c) 2015 Brenden Lake" in (FILE.parent / "LICENSE").read_text()
