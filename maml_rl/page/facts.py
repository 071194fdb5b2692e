"""Facts about a run: how it was begun, what it was told, how far it came, and where its time went."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import ENVS
from maml_rl.options.config import Config, DataConfig, RlConfig, configure, flat, side, tasks_of
from maml_rl.options.presets import load_preset
from maml_rl.runs.directory import read_run
from maml_rl.runs.sessions import Session, read_sessions
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name
from maml_rl.supervised.catalogue import DATA_SETS

OF_PLACE = ("device", "num_threads", "physics", "checkpoint_every")  # which change no numbers, or few
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Option:
    """An option, as it was and as the preset has it."""

    name: str
    value: str
    preset: str


@dataclass(frozen=True)
class Part:
    """A part of an iteration, and the seconds that it took in the mean."""

    name: str
    seconds: float
    share: float


@dataclass(frozen=True)
class RunFacts:
    """A run, or a checkpoint without its run, whose `rows` and `sessions` are empty."""

    name: str
    config: Config
    iteration: int  # iterations that the evaluated policy or model was trained for
    rows: Rows
    sessions: Sequence[Session]

    @property
    def title(self) -> str:
        """Its algorithm, tasks, seed, and how far it came, in words."""
        config = self.config
        words = f"{config.algorithm} on {tasks_of(config)}, seed {config.seed}, {self.iteration:,} iterations"
        steps = self.rows[-1].get("env_steps") if self.rows else None
        return words + (f" of {len(self.rows):,}, {steps:,} env steps" if steps else "")

    @property
    def algorithm(self) -> str:
        """In a few words."""
        return ALGORITHMS[self.config.algorithm].summary

    @property
    def preset(self) -> str:
        """The name of the preset, in words."""
        return f"preset {self._preset}" if self._preset else "preset of the tasks"

    @property
    def _preset(self) -> str | None:
        variant = getattr(self.config, "variant", "maml")
        return (self.sessions[0].preset if self.sessions else None) or (variant if variant != "maml" else None)

    @property
    def command(self) -> str:
        """A command that trains such a run anew."""
        tasks, of_preset = side(type(self.config)), flat(self._of_preset())
        tokens = ["python", "-m", "maml_rl.train", option_name(tasks), tasks_of(self.config)]
        if self._preset:
            tokens += ["--preset", self._preset]
        own = flat(self.config) | ({"iterations": self.rows[-1]["iteration"] + 1} if self.rows else {})
        known = of_preset | {"algorithm": "maml"}
        for name, value in own.items():
            if name not in (tasks, "variant", "classes", *OF_PLACE) and value != known.get(name):
                tokens += _flag(name, value)
        return shlex.join(tokens)

    def differing(self) -> list[Option]:
        """The options that differ from the preset."""
        of_preset = flat(self._of_preset())
        return [each for each in self.options(of_preset) if each.value != each.preset]

    def options(self, of_preset: Mapping[str, Any] | None = None) -> list[Option]:
        """All options but those that name the tasks, in their order."""
        of_preset = flat(self._of_preset()) if of_preset is None else of_preset
        naming = (side(type(self.config)), "variant", "algorithm", *OF_PLACE)
        return [
            Option(option_name(name), _words(value), _words(of_preset.get(name)))
            for name, value in flat(self.config).items()
            if name not in naming
        ]

    def _of_preset(self) -> Config:
        """The options that the run would have had without any flag. Of presets that are gone, the defaults."""
        config = self.config
        begun = RlConfig(env=config.env) if isinstance(config, RlConfig) else DataConfig(data=config.data)
        try:
            return load_preset(
                begun, self._preset, ENVS if isinstance(config, RlConfig) else DATA_SETS, config.algorithm
            )
        except UsageError:
            return configure(begun, {"algorithm": config.algorithm})

    def times(self) -> list[Part]:
        """The parts of an iteration, the longest first: mean seconds over the rows that have them, and shares."""
        whole = _mean(self.rows, "time/iteration")
        names = {name for row in self.rows for name in row if name.startswith("time/")} - {"time/iteration"}
        parts = {name.removeprefix("time/"): _mean(self.rows, name) for name in sorted(names)}
        parts["rest"] = max(0.0, whole - sum(parts.values()))
        total = sum(parts.values())
        ordered = sorted(parts.items(), key=lambda item: -item[1])
        return [Part(name, seconds, seconds / total) for name, seconds in ordered if total > 0]

    @property
    def seconds_per_iteration(self) -> float:
        """In the mean."""
        return _mean(self.rows, "time/iteration")


def facts_of(path: Path, name: str, config: Config, iteration: int) -> RunFacts:
    """The facts of a run directory, or of a checkpoint file or shipped policy. Raises UsageError.

    config, iteration: of the policy or model that was read from there.
    """
    if not os.path.isdir(path):
        return RunFacts(name, config, iteration, [], [])
    config, rows = read_run(path)
    return RunFacts(name, config, iteration, rows, read_sessions(path))


def _mean(rows: Rows, name: str) -> float:
    values = [row[name] for row in rows if row.get(name) is not None]
    return sum(values) / len(values) if values else 0.0


def _flag(name: str, value: Any) -> list[str]:
    """The tokens that give an option a value."""
    if isinstance(value, bool):
        return [option_name(name if value else f"no_{name}")]
    return [option_name(name), *map(str, value if isinstance(value, list | tuple) else [value])]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(map(_words, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
