"""One environment of the user's, as it is simulated: its episodes as rows of numbers, and its faults in one line."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.spaces.utils import flatten

from maml_rl.envs.errors import FamilyError
from maml_rl.envs.user.observations import misfit
from maml_rl.envs.user.user_class import UserTasks, make_env

# Columns of a simulation's row behind its observation.
REWARD, TERMINATED, TRUNCATED, SUCCESS = range(4)
COLUMNS = 4


class Simulation:
    """One environment of the user's, and a state of Python's and numpy's global generators of its own.

    Its draws do not depend on the other simulations that share its process.
    """

    def __init__(self, name: str, tasks: UserTasks) -> None:
        self.env = make_env(name, tasks)
        self.ended = False
        self._name, self._tasks, self._space = name, tasks, self.env.observation_space
        self._numpy = np.random.MT19937()
        self._python = random.getstate()

    def reset(self, task: Any, seed: int, row: np.ndarray) -> None:
        """Start an episode and write `row`: the observation [O] and the columns."""
        self.ended = False
        self._numpy = np.random.MT19937(seed)
        self._python = random.Random(seed).getstate()
        with self._own_randomness():
            self._tasks.set_task(self.env, task)
            observation, info = self._checked_reset(seed)
        row[-COLUMNS:] = 0.0, False, False, self._success(info)
        self._write(row, observation)

    def step(self, action: np.ndarray, row: np.ndarray) -> None:
        """Take an action, in the numbers of the environment's action space, and write `row`."""
        space = self.env.action_space
        with self._own_randomness():
            result: Any
            if isinstance(space, Discrete):
                result = self.env.step(int(action[0]))
            else:
                result = self.env.step(action.astype(space.dtype).reshape(space.shape or ()))
        if not isinstance(result, tuple) or len(result) != 5 or not isinstance(result[4], dict):
            got = f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"
            if isinstance(result, tuple) and len(result) == 5:
                got = f"an info that is a {type(result[4]).__name__}"
            allowed = "observation, reward, terminated, truncated and info (a dict): Gymnasium's five"
            raise FamilyError(f"{self._name}: step gave {got}, allowed: {allowed}")
        observation, reward, terminated, truncated, info = result
        # Whoever has met the task once has met it, as Meta-World counts.
        success = np.fmax(row[SUCCESS - COLUMNS], self._success(info))
        numbers = {"reward": reward, "terminated": terminated, "truncated": truncated}
        row[-COLUMNS:] = *(self._number(name, value) for name, value in numbers.items()), success
        self._write(row, observation)
        self.ended = bool(terminated or truncated)

    def _checked_reset(self, seed: int) -> tuple[Any, dict[str, Any]]:
        """Gymnasium's reset. Raises FamilyError if it is an older Gym's."""
        allowed = "reset(self, *, seed=None, options=None) that gives observation and info (a dict)"
        try:
            result: Any = self.env.reset(seed=seed)
        except TypeError as error:
            if "unexpected keyword argument 'seed'" not in str(error):
                raise
            raise FamilyError(f"{self._name}: its reset takes no seed, allowed: {allowed}") from error
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
            raise FamilyError(f"{self._name}: reset gave only an observation, allowed: {allowed}")
        return result

    def _number(self, name: str, value: Any) -> float:
        number = np.asarray(value)
        if number.shape or number.dtype.kind not in "biuf":
            got = f"of shape {number.shape}" if number.shape else f"that is a {type(value).__name__}"
            allowed = "a number" if name == "reward" else "true or false"
            raise FamilyError(f"{self._name}: step gave a {name} {got}, allowed: {allowed}")
        return float(number)

    def _success(self, info: dict[str, Any]) -> float:
        """1 or 0 if the environment says whether the task is met, by one of the usual names; otherwise NaN."""
        said = info.get("success", info.get("is_success"))
        if said is None:
            return np.nan
        if np.size(said) != 1 or np.asarray(said).dtype.kind not in "biuf":
            got = f"{type(said).__name__}, shape {np.shape(said)}"
            raise FamilyError(f"{self._name}: gave an info with a success of {got}, allowed: true or false")
        return float(np.asarray(said).item() > 0)

    def _write(self, row: np.ndarray, observation: Any) -> None:
        space = self._space
        if not isinstance(space, Box):
            if fault := misfit(space, observation):
                raise FamilyError(f"{self._name}: gave {fault}")
            observation = flatten(space, observation)
        try:
            numbers = np.asarray(observation, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError) as error:
            raise FamilyError(f"{self._name}: gave {misfit(space, observation)}") from error
        if len(numbers) != len(row) - COLUMNS:
            allowed = f"{len(row) - COLUMNS}, as its observation space has it"
            raise FamilyError(f"{self._name}: gave an observation of {len(numbers)} numbers, allowed: {allowed}")
        row[:-COLUMNS] = numbers

    @contextlib.contextmanager
    def _own_randomness(self) -> Iterator[None]:
        np.random.set_bit_generator(self._numpy)  # pyright: ignore[reportAttributeAccessIssue]
        random.setstate(self._python)
        yield
        self._python = random.getstate()
