"""The contents of a page, before they are written as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from maml_rl.page.evaluated import Evaluated
from maml_rl.page.facts import RunFacts
from maml_rl.page.tables import Table
from maml_rl.page.tracks import Tracks


@dataclass(frozen=True)
class Film:
    """A film of a task."""

    task: int
    words: str
    uri: str
    poster: str  # its last picture


@dataclass(frozen=True)
class Run:
    """One run."""

    number: int  # from 1 on
    facts: RunFacts
    evaluated: Evaluated  # on the tasks that are drawn
    maps: Sequence[tuple[str, Markup]]  # figures of the measure against the tasks, with their titles
    key: Markup  # of their colours
    hardest: Table
    films: Sequence[Film]
    tracks: Sequence[Tracks]
    pictures: Markup  # of a data set: the first tasks

    @property
    def about_tasks(self) -> Mapping[str, Any]:
        """What the page's script shows of a task."""
        evaluated, films = self.evaluated, {each.task: f"film-{self.number}-{each.task}" for each in self.films}
        values = [[evaluated.measure.text(value) for value in column] for column in evaluated.values.T.tolist()]
        return {
            "steps": [evaluated.after(k) for k in range(len(evaluated.values))],
            "tasks": [
                {"name": name, "values": column, "film": films.get(i, "")}
                for i, (name, column) in enumerate(zip(evaluated.tasks, values, strict=True))
            ],
        }


@dataclass(frozen=True)
class Contents:
    """All that the page shows."""

    tasks: str  # the family or data set
    about: str  # its tasks, in words
    protocol: str  # of the evaluation
    source: str  # of its tasks
    runs: Sequence[Run]
    num_tasks: int  # that were evaluated on
    curves: Markup  # of training; empty if no run has metrics
    steps: Markup  # the measure against steps of adaptation
    table: Table
    compared: Markup  # of several runs
    differences: Table | None
    no_films: str  # the reason why there are none

    @property
    def measure(self) -> str:
        """Of the evaluation, in a word: return, accuracy, loss."""
        return self.runs[0].evaluated.measure.name
