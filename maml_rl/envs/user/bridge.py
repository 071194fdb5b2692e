"""Tasks on any Gymnasium environment, by a small class of the user's, simulated in worker processes."""

import os
from math import inf, prod

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from torch import Tensor

from maml_rl.envs.errors import FamilyError
from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Step, check_tasks
from maml_rl.envs.start_states import StartStates
from maml_rl.envs.user.film import Film
from maml_rl.envs.user.filmed import PICTURES, draws_pictures
from maml_rl.envs.user.observations import count_numbers
from maml_rl.envs.user.simulation import COLUMNS, REWARD, SUCCESS, TERMINATED, TRUNCATED
from maml_rl.envs.user.user_class import draw_tasks, load_user_tasks, make_env
from maml_rl.envs.user.worker_pool import WorkerPool

HORIZON = 200  # steps, if the user's environment does not say
MAX_SEED = 2**31


class GymnasiumFamily:
    """The family of a class "module:Class", with `make_env()`, `sample_tasks(n, rng)` and `set_task(env, task)`.

    Observations are the environment's, flattened. Actions: a choice for each component of Discrete, MultiDiscrete and
    MultiBinary; of a Box its components, with +-1 for the full range if they are bounded, and as they are if not; both
    flattened. dt is the environment's own, or one frame of its pictures, or 1 s.
    """

    terminates = True
    truncates = True
    task_bound = 1e15

    def __init__(self, name: str, num_tasks: int = 1) -> None:
        """num_tasks: as many as a meta-batch has. The class is asked for so many once, to see what its tasks look like.

        Raises FamilyError for a class, a space or a task that cannot be, and WorkerError for an exception in it.
        """
        self.name, self._tasks = name, load_user_tasks(name)
        probe = make_env(name, self._tasks)
        try:
            self._read_spaces(probe)
            self._draws_pictures = draws_pictures(probe)
            self.horizon = getattr(probe.spec, "max_episode_steps", None) or HORIZON
            frame_rate = probe.metadata.get("render_fps")
            self.dt = float(getattr(probe.unwrapped, "dt", None) or (1 / frame_rate if frame_rate else 1.0))
        finally:
            probe.close()
        _, self.form = draw_tasks(name, self._tasks, num_tasks, KeyedGenerator(0).streams(1)[0])
        self.task_shape, self.task_parts = self.form.row_shape, self.form.parts

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        """Ask the class once for all tasks of a meta-batch: it may balance them, or draw without replacement."""
        rows, form = draw_tasks(self.name, self._tasks, num_tasks, generator.streams(1)[0])
        if form != self.form:
            raise FamilyError(f"{self.name}: sample_tasks gave tasks of another form than before, allowed: one form")
        return torch.from_numpy(rows)

    def describe(self, task: Tensor) -> str:
        numbers = [f"{number:.4g}" for number in task.flatten().tolist()]
        return ", ".join(numbers) if len(numbers) <= 2 else f"{numbers[0]}, ... ({len(numbers)} numbers)"

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        if not self._draws_pictures:
            allowed = f"those with {PICTURES!r} in the render_modes of their metadata"
            raise RenderingError(f"{self.name}: its environments draw no pictures, allowed: {allowed}")
        pool = WorkerPool(self.name, 1, self.observation_size, self.action_numbers, 1)
        return Film(pool, self.form.task(task.double().numpy()), self.action_numbers, width, height)

    def simulate(
        self, num_tasks: int, episodes_per_task: int, num_threads: int = 0, make_physics: MakePhysics | None = None
    ) -> "GymnasiumSimulation":
        """num_threads: worker processes, at most one per simulation; 0 takes one per CPU. They start with `reset`."""
        return GymnasiumSimulation(self, num_tasks, episodes_per_task, num_threads or os.cpu_count() or 1)

    def _read_spaces(self, probe: gymnasium.Env) -> None:
        missing = [each for each in ("observation_space", "action_space") if not hasattr(probe, each)]
        if missing:
            raise FamilyError(f"{self.name}: its environment has no {missing[0]}, allowed: a gymnasium.Env with both")
        observations, actions = probe.observation_space, probe.action_space
        self.observation_size = count_numbers(observations)
        if not self.observation_size:
            allowed = "a Box, Discrete, MultiDiscrete, MultiBinary, and a Dict or Tuple of them; no Graph, no Sequence"
            raise FamilyError(f"{self.name}: its observation space is {_words(observations)}, allowed: {allowed}")
        self.choices, self._lowest = _choices(actions)
        if self.choices:
            self.action_size, self.action_bound = sum(self.choices), 1.0
        elif isinstance(actions, Box) and prod(actions.shape) > 0 and np.issubdtype(actions.dtype, np.floating):
            self.action_size = prod(actions.shape)
            self._low, self._high = (
                torch.from_numpy(bound.astype(np.float64).flatten()) for bound in (actions.low, actions.high)
            )
            self._bounded = self._low.isfinite() & self._high.isfinite()
            self.action_bound = 1.0 if self._bounded.all() else inf
        else:
            allowed = "Discrete, MultiDiscrete, MultiBinary, Box of floats"
            raise FamilyError(f"{self.name}: its action space is {_words(actions)}, allowed: {allowed}")
        self.action_numbers = len(self.choices) or self.action_size  # A', of the user's action space

    def numbers(self, actions: Tensor) -> Tensor:
        """Translate the policy's output [M, E, A] into numbers [M, E, A'] of the user's action space."""
        if self.choices:
            chosen = [one_hot.argmax(dim=-1) for one_hot in actions.split(self.choices, dim=-1)]
            return self._lowest + torch.stack(chosen, dim=-1).double()
        share = (actions.double().clamp(-1.0, 1.0) + 1) / 2  # of the full range
        scaled = torch.where(self._bounded, self._low + share * (self._high - self._low), actions.double())
        return scaled.clamp(self._low, self._high)


class GymnasiumSimulation:
    """A user's environments in worker processes."""

    device = torch.device("cpu")
    dtype = torch.float64
    overlaps = False

    def __init__(self, family: GymnasiumFamily, num_tasks: int, episodes_per_task: int, num_workers: int) -> None:
        self.family, self.num_tasks, self.episodes_per_task = family, num_tasks, episodes_per_task
        self._num_workers = num_workers
        self._pool: WorkerPool | None = None
        shape = num_tasks, episodes_per_task
        self._rows = torch.zeros(*shape, family.observation_size + COLUMNS, dtype=self.dtype)
        self._seeds = torch.zeros(*shape, 1, dtype=self.dtype)  # of the present episodes
        self._numbers = torch.zeros(*shape, family.action_numbers, dtype=self.dtype)  # the last actions

    def reset(self, tasks: Tensor, generator: KeyedGenerator) -> Tensor:
        check_tasks(tasks, self.num_tasks, self.family.task_shape)
        E = self.episodes_per_task
        if self._pool is None or not self._pool.close.alive:
            family = self.family
            sizes = (self.num_tasks * E, family.observation_size, family.action_numbers)
            self._pool = WorkerPool(family.name, *sizes, self._num_workers)
            self._pool.check_task(family.form.task(tasks[0].double().numpy()))
        given = [self.family.form.task(task.double().numpy()) for task in tasks]
        self._given = [task for task in given for _ in range(E)]
        self._starts = StartStates(generator, self._draw_seeds)
        return self._start(self._starts.first, torch.ones(self.num_tasks, E, dtype=torch.bool))

    def restart(self, simulations: Tensor) -> Tensor:
        return self._start(self._starts.next(simulations, self._draw_seeds), simulations)

    def step(self, actions: Tensor) -> Step:
        assert self._pool is not None, "step before reset"
        self._numbers = self.family.numbers(actions)
        rows = self._pool.step(self._numbers.flatten(0, 1).numpy())
        observations = self._received(rows, "step")
        terminated = self._column(TERMINATED).bool()
        truncated = self._column(TRUNCATED).bool() & ~terminated
        return Step(observations, self._column(REWARD), terminated, truncated, self._column(SUCCESS))

    def diverged(self) -> Tensor:
        return torch.zeros(self.num_tasks, self.episodes_per_task, dtype=torch.bool)

    def snapshot(self) -> Tensor:
        """The present episode's seed, the action that led here, in the user's numbers, and the observation.

        [M, E, 1 + A' + O].
        """
        return torch.cat([self._seeds, self._numbers, self._rows[..., :-COLUMNS]], dim=-1)

    def _draw_seeds(self, generator: KeyedGenerator) -> Tensor:
        """[M, E, 1], of the environments' resets."""
        rows = [stream.integers(MAX_SEED, size=self.episodes_per_task) for stream in generator.streams(self.num_tasks)]
        return torch.from_numpy(np.stack(rows))[..., None]

    def _start(self, seeds: Tensor, simulations: Tensor) -> Tensor:
        """Start an episode in some simulations [M, E] bool. seeds: [M, E, 1]. Returns all observations [M, E, O]."""
        assert self._pool is not None, "restart before reset"
        self._seeds = seeds.to(self.dtype).where(simulations[..., None], self._seeds)
        chosen = zip(self._given, seeds.flatten().tolist(), simulations.flatten().tolist(), strict=True)
        rows = self._pool.reset([(task, seed) if starts else None for task, seed, starts in chosen])
        return self._received(rows, "reset")

    def _received(self, rows: np.ndarray, method: str) -> Tensor:
        """Keep the workers' rows; their observations [M, E, O]. Raises FamilyError if a number is not finite."""
        for what, part in (("an observation", rows[:, :-COLUMNS]), ("a reward", rows[:, REWARD - COLUMNS])):
            if not np.isfinite(part).all():
                raise FamilyError(f"{self.family.name}: {method} gave {what} that is NaN or infinite, allowed: numbers")
        self._rows = torch.from_numpy(rows).unflatten(0, (self.num_tasks, self.episodes_per_task))
        return self._rows[..., :-COLUMNS]

    def _column(self, column: int) -> Tensor:
        """A column [M, E] of the last step's rows."""
        return self._rows[..., column - COLUMNS]


def _words(space: Space | None) -> str:
    """A space in a few words: "Box of int8, shape (2, 3)", or "Dict"."""
    kind, dtype = type(space).__name__, getattr(space, "dtype", None)
    return f"{kind} of {dtype}, shape {getattr(space, 'shape', None)}" if dtype else kind


def _choices(space: Space) -> tuple[tuple[int, ...], Tensor]:
    """How many choices each component of an action has, and the number (float64) of its first one; none of a Box."""
    if isinstance(space, Discrete):
        sizes, lowest = [space.n], [space.start]
    elif isinstance(space, MultiDiscrete):
        sizes, lowest = space.nvec.flatten(), space.start.flatten()
    else:
        sizes = [2] * prod(space.shape) if isinstance(space, MultiBinary) else []
        lowest = [0] * len(sizes)
    return tuple(map(int, sizes)), torch.tensor([float(each) for each in lowest], dtype=torch.float64)
