"""Observations of a Gymnasium space as rows of numbers, by Gymnasium's own `flatten`."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Tuple
from gymnasium.spaces.utils import flatten_space


def count_numbers(space: Space) -> int:
    """How many numbers [O] an observation is; 0 if it has no fixed number of them, as in a Graph or a Sequence."""
    try:
        flat = space if isinstance(space, Box) else flatten_space(space)
    except (NotImplementedError, ValueError):  # a space that is not Gymnasium's, or an empty one
        return 0
    return prod(flat.shape) if isinstance(flat, Box) else 0


def misfit(space: Space, observation: Any, name: str = "observation") -> str:
    """The first part of an observation that its space does not have, in one line; '' if there is none.

    Bounds and types of a Box's numbers are not looked at, as long as they are numbers.
    """
    if isinstance(space, Dict) and isinstance(observation, Mapping) and observation.keys() == space.keys():
        parts = [(space[key], observation[key], f"{name}[{key!r}]") for key in space]
    elif isinstance(space, Tuple) and isinstance(observation, tuple | list) and len(observation) == len(space):
        parts = [(space[i], part, f"{name}[{i}]") for i, part in enumerate(observation)]
    elif _fits(space, observation):
        return ""
    else:
        return f"{name} = {_line(observation)}, allowed: {_line(space)}"
    return next((fault for part in parts if (fault := misfit(*part))), "")


def _fits(space: Space, observation: Any) -> bool:
    if not isinstance(space, Box):
        return space.contains(observation)
    try:
        return np.asarray(observation, dtype=np.float64).size == prod(space.shape)
    except (TypeError, ValueError):
        return False


def _line(value: Any) -> str:
    """The beginning of its `repr`, in one line."""
    return " ".join(repr(value).split())[:80]
