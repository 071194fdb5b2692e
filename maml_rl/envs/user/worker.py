"""A worker process of the Gymnasium bridge: its share of the simulations, one after another.

Imports no PyTorch, so that a worker begins soon and stays small.
"""

import copy
import os
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector.async_vector_env import _async_worker

from maml_rl.envs.errors import FamilyError
from maml_rl.envs.user.filmed import FilmedEpisode
from maml_rl.envs.user.simulation import COLUMNS, Simulation
from maml_rl.envs.user.user_class import UserTasks, last_traceback, load_user_tasks

PROBE_STEPS = 3


def serve(*arguments: Any) -> None:
    """Gymnasium's own worker, which ends without a word if the parent process is gone: there is nobody to tell."""
    try:
        _async_worker(*arguments)
    except OSError:
        os._exit(1)


class Bundle(gymnasium.Env):
    """Several simulations as one environment: `gymnasium.vector.AsyncVectorEnv` runs one of these in each process.

    Observations [n, O + 4] (float64), a row per simulation: its observation, then the columns. Actions [n, A']: numbers
    of the user's action space. A simulation that has ended keeps its last row. An error is a value here, in the info:
    "fault" is one line about the user's class, "traceback" of an exception in it. As an exception it would have to be
    pickled, which not every one can be.
    """

    def __init__(self, name: str, num_simulations: int, observation_size: int, action_numbers: int) -> None:
        """Builds nothing of the user's: that is left to the worker's first `reset`."""
        self.observation_space = Box(-np.inf, np.inf, (num_simulations, observation_size + COLUMNS), np.float64)
        self.action_space = Box(-np.inf, np.inf, (num_simulations, action_numbers), np.float64)
        self.episodes: list[tuple[Any, int] | None] = []  # of each simulation, no more than n: task and seed to start
        self._name = name
        self._tasks: UserTasks | None = None
        self._simulations: list[Simulation] = []
        self._filmed: dict[int, FilmedEpisode] = {}  # by their seeds
        self._rows = np.zeros(self.observation_space.shape)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start the `episodes`, which the parent process has set before."""
        return self._rows, self._attempt(self._reset)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return self._rows, 0.0, False, False, self._attempt(self._step, action)

    def close(self) -> None:
        for simulation in (*self._simulations, *self._filmed.values()):
            simulation.env.close()

    def probe(self, task: Any) -> dict[str, Any]:
        """The numbers that an episode of a task begins with, as "digest"; None if they differ in a second try."""
        digests: list[bytes] = []

        def play() -> None:
            self._tasks = self._tasks or load_user_tasks(self._name)
            tried = Simulation(self._name, self._tasks)  # not one that is trained on: it may count its episodes
            actions = copy.deepcopy(tried.env.action_space)
            actions.seed(0)
            row = np.zeros(self._rows.shape[1])
            tried.reset(task, 0, row)
            digest = row.tobytes()
            for _ in range(PROBE_STEPS):
                if not tried.ended:
                    tried.step(np.asarray(actions.sample(), dtype=np.float64).reshape(-1), row)
                    digest += row.tobytes()
            digests.append(digest)
            tried.env.close()

        fault = self._attempt(play) or self._attempt(play)
        return fault or {"digest": digests[0] if digests[0] == digests[1] else None}

    def picture(self, seed: int, task: Any | None, actions: np.ndarray) -> dict[str, Any]:
        """Play on an episode, which its seed names, with actions [t, A'], and draw it. task: given if it begins.

        Returns its "picture" and its "observation" [O] then.
        """
        drawn: dict[str, Any] = {}

        def play() -> None:
            self._tasks = self._tasks or load_user_tasks(self._name)
            if seed not in self._filmed:
                self._filmed[seed] = FilmedEpisode(self._name, self._tasks, self._rows.shape[1] - COLUMNS)
            episode = self._filmed[seed]
            if task is not None:
                episode.start(task, seed)
            for action in actions:
                episode.step(action)
            drawn.update(picture=episode.picture(), observation=episode.row[:-COLUMNS])

        return self._attempt(play) or drawn

    def _reset(self) -> None:
        self._tasks = self._tasks or load_user_tasks(self._name)
        while len(self._simulations) < len(self.episodes):
            self._simulations.append(Simulation(self._name, self._tasks))
            earlier = self._simulations[:-1]
            if any(self._simulations[-1].env is other.env for other in earlier):
                raise FamilyError(
                    f"{self._name}: make_env gave the same environment twice, allowed: a new one each time"
                )
        for episode, simulation, row in zip(self.episodes, self._simulations, self._rows, strict=False):
            if episode is not None:
                simulation.reset(*episode, row)

    def _step(self, actions: np.ndarray) -> None:
        for simulation, action, row in zip(self._simulations, actions, self._rows, strict=False):
            if not simulation.ended:
                simulation.step(action, row)

    def _attempt(self, act: Callable[..., None], *arguments: np.ndarray) -> dict[str, str]:
        """Empty, or the error."""
        try:
            act(*arguments)
        except FamilyError as error:
            return {"fault": str(error)}
        except BaseException:  # whatever it is, it is the user's to read
            return {"traceback": f"{self._name}: an exception in a worker process\n{last_traceback()}"}
        return {}
