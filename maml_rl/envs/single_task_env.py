"""A family as a single-task Gymnasium environment."""

from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.spaces.utils import flatten
from gymnasium.utils import EzPickle

from maml_rl import envs
from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.pictures.renderer import Frame, Renderer

PICTURE_SIZES = range(16, 4097)  # pixels


class SingleTaskEnv(gymnasium.Env, EzPickle):
    """One episode at a time of one task of a family. Equals the batched family step by step.

    Observations and actions are the family's: [O] float64, and [A] in the units of a policy's output, within the bounds
    beyond which the family clips, or the numbers of choices. Episodes have no time limit here: `gymnasium.make` adds
    it. A copy, and a pickle, is a new environment of the same arguments and the same fixed task: it has to be reset.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - so in gymnasium.Env

    def __init__(
        self,
        family: str,
        task: Any = None,
        variant: Literal["maml", "promp"] = "maml",
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
    ) -> None:
        """task: as in `set_task`. width, height: of pictures, 16 to 4096 pixels.

        Raises ValueError for a task of another shape, another size of pictures, and for a render_mode other than None
        and "rgb_array".
        """
        EzPickle.__init__(self, family, task, variant, render_mode, width, height)
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode: got {render_mode!r}, allowed: None, 'rgb_array'")
        for name, pixels in (("width", width), ("height", height)):
            if not isinstance(pixels, int | np.integer) or pixels not in PICTURE_SIZES:
                raise ValueError(f"{name}: got {pixels!r}, allowed: an integer from 16 to 4096")
        self._picture_size = int(width), int(height)
        self._family = envs.make_family(family, variant)
        self._simulation = self._family.simulate(1, 1, num_threads=1)
        self.metadata = {**self.metadata, "render_fps": round(1 / self._family.dt)}
        self.render_mode = render_mode
        self.observation_space = Box(-np.inf, np.inf, (self._family.observation_size,), np.float64)
        bound, size = self._family.action_bound, self._family.action_size
        if not self._family.choices:
            self.action_space = Box(-bound, bound, (size,), np.float64)
        elif len(self._family.choices) == 1:
            self.action_space = Discrete(size)
        else:
            self.action_space = MultiDiscrete(list(self._family.choices))
        self.set_task(task)
        self._task: torch.Tensor | None = None  # of the present episode
        self._states: list[torch.Tensor] = []  # of the present episode, if there are pictures
        self._renderer: Renderer | None = None

    def set_task(self, task: Any) -> None:
        """Fix the task of all later episodes: a number or numbers in the family's units. None: each draws its own.

        Raises ValueError for a task of another shape.
        """
        self._fixed_task = None if task is None else self._as_task(task)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode. options: {"task": ...}, a number or numbers in the family's units, for this episode."""
        super().reset(seed=seed)
        generator = KeyedGenerator(0, *self.np_random.integers(2**32, size=2).tolist())
        unknown = set(options or {}) - {"task"}
        if unknown:
            raise ValueError(f"options: got {sorted(unknown)}, allowed: 'task'")
        given = (options or {}).get("task")
        if given is not None:
            task = self._as_task(given)
        elif self._fixed_task is not None:
            task = self._fixed_task
        else:
            task = self._family.sample_tasks(1, generator)[0]
        if self._task is not None and not torch.equal(task, self._task):
            self._close_renderer()
        self._task = task
        observation = self._simulation.reset(task[None], generator)
        self._states = [self._simulation.snapshot()[0, 0]]
        return observation[0, 0].numpy().copy(), {"task": task.numpy().copy()}

    def step(self, action: np.ndarray | int) -> tuple[np.ndarray, float, bool, bool, dict]:
        space = self.action_space
        if not isinstance(space, Box):
            if not space.contains(action):
                raise ValueError(f"action: got {action!r}, allowed: {space}")
            row = np.asarray(flatten(space, action), dtype=np.float64)
        else:
            row = np.asarray(action, dtype=np.float64)
            if row.shape != space.shape or not np.isfinite(row).all():
                raise ValueError(f"action: got {action!r}, allowed: {self._family.action_size} finite numbers")
        if self._task is None:
            raise ResetNeeded("step before reset")
        actions = torch.as_tensor(row)[None, None]
        observation, reward, terminated, cut, _ = self._simulation.step(actions)
        if self.render_mode is not None:
            self._states.append(self._simulation.snapshot()[0, 0])
        # An episode whose physics diverged cannot go on; it has not come to an end of the task's either.
        truncated = bool(cut) or bool(self._simulation.diverged())
        return observation[0, 0].numpy().copy(), float(reward), bool(terminated), truncated, {}

    def render(self) -> Frame | None:
        """The picture of the state [height, width, 3] with render_mode "rgb_array", otherwise None."""
        if self.render_mode is None:
            return None
        if self._task is None:
            raise ResetNeeded("render before reset")
        if self._renderer is None:
            self._renderer = self._family.make_renderer(self._task, *self._picture_size)
        states = torch.stack(self._states)
        return self._renderer.draw(states, states[None, :0])

    def close(self) -> None:
        self._close_renderer()

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"spec": self.spec, "task": self._fixed_task}

    def __setstate__(self, d: dict[str, Any]) -> None:
        super().__setstate__(d)
        self.spec, self._fixed_task = d["spec"], d["task"]

    def _close_renderer(self) -> None:
        if self._renderer:
            self._renderer.close()
        self._renderer = None

    def _as_task(self, task: Any) -> torch.Tensor:
        shape = self._family.task_shape
        try:
            row = torch.from_numpy(np.array(task, dtype=np.float64))  # a copy: the array is the caller's
        except (TypeError, ValueError) as error:
            raise ValueError(f"task: got {task!r}, allowed: numbers") from error
        row = row.reshape(shape) if row.ndim == 0 and shape == (1,) else row
        if tuple(row.shape) != shape:
            raise ValueError(f"task: got shape {tuple(row.shape)}, allowed: {shape}")
        bound = self._family.task_bound
        if not (row.abs() <= bound).all():
            raise ValueError(f"task: got {task!r}, allowed: finite numbers from {-bound:g} to {bound:g}")
        return row
