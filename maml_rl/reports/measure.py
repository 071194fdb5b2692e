"""The number that an evaluation has of each task: a return, an accuracy, or a loss."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """Its name, as of metrics and files, and the words for it."""

    name: str
    axis: str  # of a figure
    of_training: str  # of a figure of training
    format: str
    higher_is_better: bool = True

    def text(self, value: float) -> str:
        """A value in words."""
        return self.format.format(value)

    def better(self, value: float, than: float) -> bool:
        """Whether a value is better than another."""
        return value > than if self.higher_is_better else value < than

    @property
    def worst(self) -> float:
        """Worse than any value."""
        return float("-inf") if self.higher_is_better else float("inf")


RETURN = Measure("return", "mean return (reward units)", "mean return of an episode (reward units)", "{:.1f}")
ACCURACY = Measure("accuracy", "mean accuracy", "mean accuracy on query sets", "{:.2%}")
LOSS = Measure("loss", "mean squared error", "mean squared error on query sets", "{:.3f}", higher_is_better=False)
