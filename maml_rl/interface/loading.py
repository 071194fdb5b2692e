"""Checkpoints, run directories and shipped names as policies and models."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from maml_rl import envs
from maml_rl.interface.meta_model import MetaModel
from maml_rl.interface.meta_policy import MetaPolicy
from maml_rl.machine.keys import Purpose, keyed
from maml_rl.meta.algorithm import State
from maml_rl.models.model import Model
from maml_rl.options.config import Config, RlConfig
from maml_rl.options.data_wiring import make_data_model
from maml_rl.options.parts import make_algorithm
from maml_rl.options.rl_wiring import make_family, make_model
from maml_rl.options.shipped import shipped_policies
from maml_rl.runs.checkpoint import BEST, Checkpoint, latest_checkpoint, load_checkpoint
from maml_rl.schema.errors import UsageError, nearest


def load(path: str | Path, env: str | None = None) -> MetaPolicy | MetaModel:
    """Read a checkpoint; of a run directory its best one, or its last if none is kept.

    A run with --env gives a `MetaPolicy`, one with --data a `MetaModel`. path: also the name of one that comes with the
    package, such as "halfcheetah-dir", unless there is such a path. env: the family that it was trained on. It has to
    be given if that is a class of yours, "module:Class": a checkpoint alone runs no code. Raises ValueError with one
    line, if it is missing, not a checkpoint, or of another env.
    """
    path = _found(path)
    if path.is_dir():
        folder = path / "checkpoints"
        path = folder / BEST if (folder / BEST).exists() else latest_checkpoint(folder, "checkpoint")

    models: list[Model] = []  # built once: a user's class may take its time

    def begin(config: Config) -> tuple[Model, Callable[[], State]]:
        if isinstance(config, RlConfig):
            _check_env(path, config.env, env)
        elif env is not None:
            raise UsageError(f"--env: got {env!r}, allowed: none, as {path} was trained on --data {config.data}")
        models.append(_model(config))
        return models[0], lambda: _initial_state(config, models[0])

    checkpoint, config = load_checkpoint(path, begin, to_go_on=False)
    return _learner(config, models[0], checkpoint)


def untrained(config: Config) -> MetaPolicy | MetaModel:
    """The policy or model that a run with that configuration begins with. Raises UsageError, as `load` does."""
    model = _model(config)
    return _learner(config, model, Checkpoint(_initial_state(config, model), 0, 0))


def _learner(config: Config, model: Model, checkpoint: Checkpoint) -> MetaPolicy | MetaModel:
    # Wherever it was trained: the CPU's physics is everywhere, and a replay on it leads through the very same states.
    if isinstance(config, RlConfig):
        config = dataclasses.replace(config, physics="cpu", device="cpu")
        return MetaPolicy(config, model, checkpoint.state, checkpoint.iteration)  # type: ignore[arg-type] # a Policy
    return MetaModel(dataclasses.replace(config, device="cpu"), model, checkpoint.state, checkpoint.iteration)


def _check_env(path: Path, trained_on: str, env: str | None) -> None:
    if env is not None and env != trained_on:
        raise UsageError(f"--env: got {env!r}, allowed: {trained_on!r}, as {path} has it")
    if env is None and ":" in trained_on:
        raise UsageError(
            f"checkpoint {path}: its env is {trained_on}, code that a checkpoint alone does not run, "
            f"allowed: with --env {trained_on} (load(..., env={trained_on!r}) in Python)"
        )


def _model(config: Config) -> Model:
    """The model of a configuration, without parameters. Raises UsageError for a family that there is not."""
    if not isinstance(config, RlConfig):
        return make_data_model(config)
    if config.env not in envs.ENVS and ":" not in config.env:
        allowed = ", ".join(envs.ENVS)
        raise UsageError(f"checkpoint: env: got {config.env!r}, allowed: {allowed}{nearest(config.env, envs.ENVS)}")
    return make_model(config, make_family(config))


def _initial_state(config: Config, model: Model) -> State:
    return make_algorithm(config).init(model, keyed(Purpose.INITIAL_PARAMETERS, config.seed))


def _found(path: str | Path) -> Path:
    """The path, if there is such a file or folder, or that of the shipped policy of this name. Raises UsageError."""
    shipped = shipped_policies()
    if not os.path.exists(path) and str(path) not in shipped:
        allowed = f"a run directory, a checkpoint file, or {', '.join(shipped)}{nearest(str(path), shipped)}"
        raise UsageError(f"got {str(path)!r}, which does not exist, allowed: {allowed}")
    return Path(path) if os.path.exists(path) else shipped[str(path)]
