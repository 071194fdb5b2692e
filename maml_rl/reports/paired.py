"""Several policies or models on the same tasks: what each has after adaptation, and the difference task by task."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from torch import Tensor

from maml_rl.reports.evaluation import confidence_interval
from maml_rl.reports.measure import Measure

MAX_COMPARED = 40  # in a figure


@dataclass(frozen=True)
class Scores:
    """What one policy or model has after its last step of adaptation, on tasks that the others have too."""

    name: str
    values: Tensor  # [M]

    def less(self, other: "Scores") -> "Scores":
        """The differences, task by task: their interval is narrower than the two apart if both find the same hard."""
        return Scores(self.name, self.values - other.values)

    @property
    def mean(self) -> float:
        """Over tasks."""
        return float(self.values.mean())

    @property
    def half(self) -> float | None:
        """Half-width of the mean's 95 % interval over tasks; None for one task."""
        return confidence_interval(self.values)


def differences(compared: Sequence[Scores]) -> list[dict[str, Any]]:
    """Of every two, for the evaluation JSON: the mean of the second less the first, and its 95 % interval."""
    pairs = [(first, second, second.less(first)) for first, second in combinations(compared, 2)]
    return [
        {"of": second.name, "less": first.name, "mean": difference.mean, "ci95": difference.half}
        for first, second, difference in pairs
    ]


def print_differences(compared: Sequence[Scores], measure: Measure) -> None:
    """Every one less the first, in a table below that of all."""
    first, *others = compared
    width = max(len(each.name) for each in others)
    print(f"\nafter the last step, task by task, less {first.name}:\n")
    print(f"{'':<{width}}  {measure.name:>11}  95 % interval")
    for each in others:
        difference = each.less(first)
        sign = "-" if difference.mean < 0 else "+"
        half = "-" if difference.half is None else f"+- {measure.text(difference.half)}"
        print(f"{each.name:<{width}}  {sign + measure.text(abs(difference.mean)):>11}  {half:>13}")
