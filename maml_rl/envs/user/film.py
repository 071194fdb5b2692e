"""Pictures of a user's environment: a worker process plays its episodes again, and draws them."""

from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from maml_rl.envs.errors import FamilyError, WorkerError, one_line
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.envs.pictures.renderer import Frame
from maml_rl.envs.user.worker_pool import WorkerPool


class Film:
    """A renderer of the episodes of one task.

    A user's environment cannot be put into a state, so that the states (`GymnasiumSimulation.snapshot`) hold the way
    there: the episode's seed, and the action that led to each.
    """

    def __init__(self, pool: WorkerPool, task: Any, action_numbers: int, width: int, height: int) -> None:
        """pool: of one worker, which ends with this. task: as the user's class takes it. width, height: pixels."""
        self._pool, self._task, self._action_numbers, self._size = pool, task, action_numbers, (width, height)
        self._played: dict[int, int] = {}  # steps of each episode, by its seed

    def draw(self, states: Tensor, earlier: Tensor) -> Frame:
        """`Renderer.draw`. Raises RenderingError if the environment fails as it plays or draws, or goes another way."""
        seed, t = int(states[0, 0]), len(states) - 1
        _, actions, observations = np.split(states.numpy(), [1, 1 + self._action_numbers], axis=1)
        begins = self._played.get(seed, t + 1) > t
        following = actions[1 if begins else self._played[seed] + 1 :]
        try:
            picture, observation = self._pool.picture(seed, self._task if begins else None, following)
        except (FamilyError, WorkerError) as error:
            first, *rest = str(error).splitlines()
            raise RenderingError(one_line(": ".join([first, *rest[-1:]]))) from error
        self._played[seed] = t
        if not np.array_equal(observation, observations[-1]):
            raise RenderingError(one_line(f"{self._pool.name}: an episode that is played again takes another course"))
        image = Image.fromarray(picture)
        larger = image.width < self._size[0] and image.height < self._size[1]
        method = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS  # worlds of few pixels stay sharp
        return np.asarray(ImageOps.pad(image, self._size, method))

    def close(self) -> None:
        self._pool.close()
