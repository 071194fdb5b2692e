"""The state that a new run begins with."""

import sys

import torch

from maml_rl.interface.loading import load
from maml_rl.interface.meta_model import MetaModel
from maml_rl.meta.algorithm import State
from maml_rl.models.parameters import unflatten
from maml_rl.options.config import RlConfig
from maml_rl.options.wiring import Setting
from maml_rl.schema.errors import UsageError

LEARNED = ("theta", "alpha")  # entries of a state that are learned, a number for each parameter of the model


def first_state(setting: Setting) -> State:
    """The state as it is drawn, but for the learned numbers that the model shares with the checkpoint of --init-from.

    Shared are parameters of the same name and shape; standard error says which are not. Raises UsageError if there is
    no such checkpoint, and if nothing is shared.
    """
    config, state = setting.config, setting.initial_state()
    if not config.init_from:
        return state
    # Of a class of the user's a checkpoint alone runs no code; this run has that class anyway.
    own_class = config.env if isinstance(config, RlConfig) and ":" in config.env else None
    try:
        other = load(config.init_from, own_class)
    except UsageError as error:
        raise UsageError(f"--init-from: {error}") from error
    theirs = (other.model if isinstance(other, MetaModel) else other.policy).parameter_shapes
    ours = setting.model.parameter_shapes
    drawn = [name for name, shape in ours.items() if theirs.get(name) != shape]
    if len(drawn) == len(ours):
        got = f"{config.init_from!r}, none of whose parameters has the name and the shape of one of this run's"
        raise UsageError(f"--init-from: got {got}, allowed: a checkpoint of such a model")
    for entry in LEARNED:
        if entry in state and entry in other.state:
            mine, given = (
                unflatten(shapes, each[entry][None]) for shapes, each in ((ours, state), (theirs, other.state))
            )
            parts = [(mine if name in drawn else given)[name] for name in ours]
            state = {**state, entry: torch.cat([part.flatten() for part in parts])}
    words = f"beginning with {config.init_from} after {other.iteration} iterations"
    print(f"{words}; drawn as ever: {', '.join(drawn)}" if drawn else words, file=sys.stderr)
    return state
