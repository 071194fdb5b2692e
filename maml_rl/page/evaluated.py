"""One policy or model on new tasks, as the page shows it: the same for both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import degrees, hypot
from typing import Literal

import torch
from torch import Tensor

from maml_rl.evaluation.models import ModelResult
from maml_rl.evaluation.policies import PolicyResult
from maml_rl.reports.measure import RETURN, Measure

MOST_KINDS = 2  # different tasks of one number that are no line, but kinds


@dataclass(frozen=True)
class Places:
    """The place of each task in a figure, and the words for its axes."""

    kind: Literal["line", "circle", "kinds", "plane", "rank"]
    at: Tensor  # [M], or of a plane [M, 2]
    axes: tuple[str, ...]
    kinds: tuple[str, ...] = ()  # of `kinds`, the words for 0, 1


@dataclass(frozen=True)
class Evaluated:
    """A measure of each task before adaptation and after each step of it."""

    name: str
    measure: Measure
    values: Tensor  # [K + 1, M], float64
    tasks: Sequence[str]  # M, in words
    places: Places
    step: str  # the word for a step of adaptation

    @property
    def shown_steps(self) -> list[int]:
        """The numbers of steps that a figure of all tasks shows: before, after the first, and after the last."""
        return sorted({0, min(1, len(self.values) - 1), len(self.values) - 1})

    def after(self, k: int) -> str:
        """The words for k steps."""
        return "before adaptation" if k == 0 else f"after {k} {self.step}{'s' * (k != 1)}"

    def first(self, count: int) -> "Evaluated":
        """The same of the first tasks alone."""
        places = replace(self.places, at=self.places.at[:count])
        return replace(self, values=self.values[:, :count], tasks=self.tasks[:count], places=places)

    def ranking(self) -> list[int]:
        """The tasks from the worst to the best after the last step; those without a number are the worst."""
        last = self.values[-1]
        key = (last if self.measure.higher_is_better else -last).nan_to_num(nan=-torch.inf)
        return key.argsort(stable=True).tolist()


def of_policy(result: PolicyResult) -> Evaluated:
    """A policy's returns."""
    family = result.setting.family
    words = [family.describe(task) for task in result.tasks]
    values = result.adaptation.returns().double().cpu()
    tasks = result.tasks.double().flatten(1)
    places = None if family.task_parts else _places(tasks, words)
    return Evaluated(result.name, RETURN, values, words, places or _ranks(values, RETURN), result.setting.step)


def of_model(result: ModelResult) -> Evaluated:
    """A model's accuracies, or of a regression its losses."""
    setting = result.setting
    words = [setting.data.describe(task) for task in result.tasks]
    values = result.learned.scores.double().cpu()
    places = _ranks(values, result.measure)
    if setting.config.data == "sinusoid":
        places = Places("plane", result.tasks, ("amplitude", "phase (rad)"))
    return Evaluated(result.name, result.measure, values, words, places, setting.step)


def _places(tasks: Tensor, words: Sequence[str]) -> Places | None:
    """The places of tasks [M, T] of one or two numbers; of others None."""
    unit = _unit(words[0])
    if tasks.shape[1] == 1:
        different = tasks.unique()
        if len(different) <= MOST_KINDS < len(tasks):
            number = torch.searchsorted(different, tasks[:, 0].contiguous())
            kinds = tuple(words[number.tolist().index(i)] for i in range(len(different)))
            return Places("kinds", number.double(), ("task",), kinds)
        return Places("line", tasks[:, 0], (f"task{unit}",))
    if tasks.shape[1] != 2:
        return None
    if all(abs(hypot(*task) - 1) < 1e-6 for task in tasks.tolist()):
        angles = torch.atan2(tasks[:, 1], tasks[:, 0]) * degrees(1)
        return Places("circle", angles, ("direction (degrees from forward)",))
    return Places("plane", tasks, (f"x{unit}", f"y{unit}"))


def _ranks(values: Tensor, measure: Measure) -> Places:
    """Tasks from the worst to the best after the last step."""
    order = Evaluated("", measure, values, (), Places("rank", values[-1], ()), "").ranking()
    at = torch.empty(len(order), dtype=torch.float64)
    at[order] = torch.arange(1, len(order) + 1, dtype=torch.float64)
    return Places("rank", at, ("tasks, from the worst to the best after the last step",))


def _unit(words: str) -> str:
    """The unit behind a task's numbers, in brackets: " (m/s)", of "1.70 m/s"."""
    found = re.search(r"[\d)]\s+([^\s\d]+)$", words)
    return f" ({found[1]})" if found else ""
