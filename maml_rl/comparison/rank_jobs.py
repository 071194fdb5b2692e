"""Train the runs of a comparison by all ranks that torchrun has started.

Each rank trains by a process of its own, which meets those of the other ranks as if torchrun had started it for that
run alone. The first rank says what is trained, and evaluates by itself.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from maml_rl.comparison.jobs import Job, work
from maml_rl.machine.ranks import Ranks

RUN_ID = "TORCHELASTIC_RUN_ID"


def announced(name: str, commands: Iterator[tuple[str, list[str]]], ranks: Ranks) -> Iterator[tuple[str, list[str]]]:
    """The commands of a run, of which the other ranks are told those that train. For the first rank."""
    for word, command in commands:
        if word == "train":
            ranks.of_first((name, command))
        yield word, command


def end(ranks: Ranks) -> None:
    """Tell the other ranks that nothing is left to train. For the first rank."""
    ranks.of_first(None)


def follow(ranks: Ranks) -> None:
    """Train what the first rank says, until nothing is left. For the others: the first one says why a run failed."""
    while told := ranks.of_first(None):
        name, command = told
        work(
            [Job(name, iter([("train", command)]), Path(os.devnull), environment(name))], 1, lambda running, done: None
        )


def environment(name: str) -> dict[str, str] | None:
    """Of the processes that train a run: ranks with the same name meet each other. None without torchrun."""
    return {**os.environ, RUN_ID: f"{os.environ[RUN_ID]}/{name}"} if RUN_ID in os.environ else None
