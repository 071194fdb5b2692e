"""The objects that a configuration stands for, whichever side it is of."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from maml_rl.machine.keys import Draws
from maml_rl.machine.ranks import Ranks
from maml_rl.meta.algorithm import Algorithm, Metrics, State
from maml_rl.models.model import Model
from maml_rl.options.config import Config, RlConfig
from maml_rl.options.data_wiring import make_data_setting
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.reports.measure import Measure


class Setting(Protocol):
    """The part of a setting, on one rank, that a run relies on: `RlSetting` and `DataSetting`."""

    @property
    def config(self) -> Config: ...
    @property
    def model(self) -> Model: ...
    @property
    def algorithm(self) -> Algorithm: ...
    @property
    def ranks(self) -> Ranks: ...
    @property
    def measure(self) -> Measure:
        """What validation and evaluation measure."""
        ...

    @property
    def evaluation_steps(self) -> int:
        """Steps of adaptation that an evaluation takes unless told otherwise."""
        ...

    @property
    def outer_step_size(self) -> str:
        """The option to lower if an update diverges."""
        ...

    @property
    def step(self) -> str:
        """The word for a step of adaptation."""
        ...

    def initial_state(self) -> State:
        """The state of a new run."""
        ...

    def try_out(self) -> None:
        """Raise what would end the run in its first steps."""
        ...

    def sample_tasks(self, iteration: int) -> Tensor:
        """The tasks [M, ...] of an iteration, those of all ranks."""
        ...

    def validation_tasks(self) -> Tensor:
        """The tasks [V, ...] of a validation, those of all ranks. No training draws them, and no evaluation."""
        ...

    def problem(self, tasks: Tensor, draws: Draws, announce: Callable[[str], None] = ...) -> Any:
        """The `maml_rl.meta.problem.Problem` of this rank's tasks. announce: told each part of the work."""
        ...

    def metrics(self, problem: Any, before: State, after: State, /) -> Metrics:
        """The metrics of an iteration's problem, of the state before it and the new one; none if they are not due."""
        ...

    def scores(self, state: State, tasks: Tensor, draws: Draws, steps: int) -> Tensor:
        """[K + 1, M], the measure on the tasks before adaptation and after each of the steps."""
        ...


def make_setting(
    config: Config, ranks: Ranks, num_threads: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> Setting:
    """Build the objects of a configuration. Raises UsageError, and what a user's environment raises.

    num_threads: of the physics, in place of the configured number, which may be 0. progress: told how many of how many
    pictures have been read.
    """
    if not isinstance(config, RlConfig):
        return make_data_setting(config, ranks, progress)
    setting = make_rl_setting(dataclasses.replace(config, num_threads=num_threads), ranks)
    return dataclasses.replace(setting, config=config)
