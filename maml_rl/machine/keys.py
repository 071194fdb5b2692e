"""Every random draw of a run, by its purpose: no two purposes share a stream."""

from dataclasses import dataclass
from enum import IntEnum

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.keyed_generator import MAX_PART


class Purpose(IntEnum):
    """The thing that is drawn. It leads the key, so that equal seeds, iterations and phases of two purposes never meet.

    0 is left to `envs`, for draws outside of a run.
    """

    INITIAL_PARAMETERS = 1
    TASKS = 2  # to train on
    EPISODES = 3  # to train on: start states and noise; of a data set: which examples
    ALGORITHM = 4  # the algorithm's own, such as the first step that the Fisher-vector products are computed on
    VALIDATION_TASKS = 5
    VALIDATION_EPISODES = 6
    EVALUATION_TASKS = 7
    EVALUATION_EPISODES = 8
    INTERFACE_EPISODES = 9  # of `maml_rl.adapt` and `maml_rl.roll_out`
    ACTIONS = 10  # of `MetaPolicy.act`
    CLASS_SPLIT = 11  # of a data set: the classes to train on, to validate and to test with
    LATENTS = 12  # of a variational model in training


def keyed(purpose: Purpose, seed: int, iteration: int = 0, phase: int = 0, first_task: int = 0) -> KeyedGenerator:
    """The generator of a draw, one stream per task, of tasks first_task, first_task + 1, ...

    phase: tells the draws of an iteration apart, such as the episodes before each gradient step. All keys have one
    length: numpy's SeedSequence pads a short key with zeros, so that (1,) and (1, 0) would name the same stream.
    Raises ValueError for a seed that is no integer of 32 bits.
    """
    if not isinstance(seed, int) or not 0 <= seed <= MAX_PART:
        raise ValueError(f"seed: got {seed!r}, allowed: an integer >= 0 and <= {MAX_PART}")
    return KeyedGenerator(purpose, seed, iteration, phase, first_task=first_task)


@dataclass(frozen=True)
class Draws:
    """The draws of one purpose in one iteration, by phase: the episodes after 0, 1, ... gradient steps."""

    purpose: Purpose
    seed: int
    iteration: int = 0
    first_task: int = 0  # if the tasks are a part of more, the number of the first

    def phase(self, phase: int = 0) -> KeyedGenerator:
        """`keyed` with the rest of the key."""
        return keyed(self.purpose, self.seed, self.iteration, phase, self.first_task)
