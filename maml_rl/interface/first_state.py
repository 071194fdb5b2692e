"""The state that a new run begins with."""

import sys

import torch

from maml_rl.interface.loading import load
from maml_rl.interface.meta_model import MetaModel
from maml_rl.meta.algorithm import State
from maml_rl.models.parameters import unflatten
from maml_rl.options.config import Config, RlConfig
from maml_rl.options.wiring import Setting
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name

LEARNED = ("theta", "alpha")  # entries of a state that are learned, a number for each parameter of the model


def first_state(setting: Setting) -> State:
    """The state as it is drawn, but for the learned numbers that the model shares with the checkpoint of --init-from.

    Shared are parameters of the same name and shape; standard error says which are not. Raises UsageError if there is
    no such checkpoint, if no weights are shared, as biases alone would be the beginning of nothing, and if its policy
    sees observations otherwise.
    """
    config, state = setting.config, setting.initial_state()
    if config.init_from is None:
        return state
    # Of a class of the user's a checkpoint alone runs no code; this run has that class anyway.
    own_class = config.env if isinstance(config, RlConfig) and ":" in config.env else None
    try:
        other = load(config.init_from, own_class)
    except UsageError as error:
        raise UsageError(f"--init-from: {error}") from error
    theirs = (other.model if isinstance(other, MetaModel) else other.policy).parameter_shapes
    ours = setting.model.parameter_shapes
    shared = [name for name, shape in ours.items() if theirs.get(name) == shape]
    if not any(len(ours[name]) > 1 for name in shared):
        got = f"{config.init_from!r} ({_kind(other.config)}), whose weights have other names or shapes"
        raise UsageError(f"--init-from: got {got}, allowed: a checkpoint of a model such as this run's")
    _check_normalization(config, other.config)
    for entry in LEARNED:
        if entry in state and entry in other.state:
            mine, given = (
                unflatten(shapes, each[entry][None]) for shapes, each in ((ours, state), (theirs, other.state))
            )
            parts = [(given if name in shared else mine)[name] for name in ours]
            state = {**state, entry: torch.cat([part.flatten() for part in parts])}
    drawn = [name for name in ours if name not in shared]
    words = f"beginning with {len(shared)} of {len(ours)} parameters from {config.init_from}"
    words += f", after {other.iteration} iterations"
    print(f"{words}; drawn: {', '.join(drawn)}" if drawn else words, file=sys.stderr)
    return state


def _check_normalization(config: Config, theirs: Config) -> None:
    """Raise UsageError if two policies, of which one begins with the other's weights, would not see the same."""
    if not isinstance(config, RlConfig) or not isinstance(theirs, RlConfig):
        return
    names = ("observation_mean", "observation_std")
    differing = [option_name(name) for name in names if getattr(config, name) != getattr(theirs, name)]
    if differing:
        got = f"{config.init_from!r}, trained with another {' and '.join(differing)} than this run's"
        raise UsageError(f"--init-from: got {got}, allowed: a policy with the same")


def _kind(config: Config) -> str:
    """What a checkpoint was trained on, and how."""
    tasks = f"--env {config.env}" if isinstance(config, RlConfig) else f"--data {config.data}"
    return f"{tasks} --algorithm {config.algorithm}"
