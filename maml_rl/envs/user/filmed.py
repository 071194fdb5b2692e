"""An episode of the user's environment that is played again to be drawn. Imports no PyTorch: workers import it."""

import os
from typing import Any

import gymnasium
import numpy as np

from maml_rl.envs.errors import FamilyError
from maml_rl.envs.pictures.offscreen import RenderingError, use_offscreen_gl
from maml_rl.envs.user.global_randomness import seeded
from maml_rl.envs.user.simulation import COLUMNS, Simulation
from maml_rl.envs.user.user_class import UserTasks

PICTURES = "rgb_array"


def draws_pictures(env: gymnasium.Env) -> bool:
    """Whether an environment says that it renders pictures: as it was made, or as it could be."""
    return env.render_mode == PICTURES or PICTURES in (env.metadata.get("render_modes") or ())


class FilmedEpisode:
    """One environment of the user's, in which an episode is played again step by step."""

    def __init__(self, name: str, tasks: UserTasks, observation_size: int) -> None:
        self._name, self._simulation = name, Simulation(name, tasks)
        self.env, self.row = self._simulation.env, np.zeros(observation_size + COLUMNS)  # the row is of the last step
        if self.env.render_mode != PICTURES:  # training needs no pictures; most environments look as they draw
            self.env.unwrapped.render_mode = PICTURES
        if hasattr(self.env.unwrapped, "mujoco_renderer"):  # one of Gymnasium's MuJoCo environments
            _choose_gl(name)

    def start(self, task: Any, seed: int) -> None:
        """Start the episode anew."""
        self._simulation.reset(task, seed, self.row)

    def step(self, action: np.ndarray) -> None:
        """Take an action, in the numbers of the environment's action space."""
        self._simulation.step(action, self.row)

    def picture(self) -> np.ndarray:
        """The picture [h, w, 3] (uint8) of the present moment. Raises FamilyError if the environment gives none.

        Drawing takes nothing from the episode's own chance.
        """
        try:
            with seeded(0):
                drawn: Any = self.env.render()
        except Exception as error:  # whatever it is, the pictures alone are lost
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise FamilyError(f"{self._name}: an exception in render ({reason})") from error
        if not isinstance(drawn, np.ndarray) or drawn.dtype != np.uint8 or drawn.shape[2:] != (3,) or 0 in drawn.shape:
            is_array = isinstance(drawn, np.ndarray)
            got = f"{drawn.dtype}, shape {drawn.shape}" if is_array else f"a {type(drawn).__name__}"
            allowed = f"[height, width, 3] of uint8, of an environment that is made with render_mode={PICTURES!r}"
            raise FamilyError(f"{self._name}: render gave {got}, allowed: {allowed}")
        return drawn


def _choose_gl(name: str) -> None:
    """Have Gymnasium's MuJoCo renderer take a backend that works here: by itself it takes glfw, display or not."""
    if not os.environ.get("MUJOCO_GL"):
        try:
            os.environ["MUJOCO_GL"] = use_offscreen_gl()
        except RenderingError as error:
            raise FamilyError(f"{name}: {error}") from error
