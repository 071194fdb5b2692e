"""Meta-World's meta-learning benchmarks (Yu et al. 2020) as classes for `--env`: needs the extra `metaworld`.

python -m maml_rl.train --config configs/metaworld/ml1-reach.yaml
"""

# pyright: reportMissingImports=false
# Meta-World needs an older MuJoCo than our own families do: it lives in a virtual environment of its own.

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np

from maml_rl.envs.errors import FamilyError

GOALS = 50  # of each environment, drawn once by Meta-World for training, and other ones for testing
SEED = 1  # of these goals: they belong to the benchmark, not to the run


class MetaWorldEnv(gymnasium.Env):
    """The environment of the task at hand, one of several classes with the same spaces.

    One that is not needed any more goes to the next simulation of this process that wants its class: a sawyer takes
    20 MB and 0.2 s to build.
    """

    _idle: ClassVar[dict[type, list[gymnasium.Env]]] = {}

    def __init__(self, env_class: type) -> None:
        self._env: Any = env_class()
        self.observation_space, self.action_space = self._env.observation_space, self._env.action_space
        self.dt = float(self._env.dt)

    def set_task(self, env_class: type, task: Any) -> None:
        if type(self._env) is not env_class:
            self._idle.setdefault(type(self._env), []).append(self._env)
            idle = self._idle.get(env_class)
            self._env = idle.pop() if idle else env_class()
        self._env.set_task(task)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return self._env.reset(seed=seed)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return self._env.step(action)

    def close(self) -> None:
        self._env.close()


class _Benchmark:
    """The common part of the benchmarks. A task is an index: first the tasks to train on, then the tests' tasks."""

    def __init__(self, num_train_tasks: int, load: Callable[[], Any]) -> None:
        """load: gives the `metaworld.Benchmark`, within seconds: not before a worker's first task."""
        self._num_train_tasks = num_train_tasks
        self._load = functools.cache(load)

    def make_env(self) -> gymnasium.Env:
        return MetaWorldEnv(_metaworld().ALL_V3_ENVIRONMENTS["reach-v3"])

    def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(self._num_train_tasks, size=n)

    def set_task(self, env: Any, task: float) -> None:
        benchmark = self._load()
        chosen = [*benchmark.train_tasks, *benchmark.test_tasks][int(task)]
        env.set_task({**benchmark.train_classes, **benchmark.test_classes}[chosen.env_name], chosen)


class ML1Reach(_Benchmark):
    """ML1 on reach-v3: 50 goals to train on (0 to 49), and 50 to test on (50 to 99)."""

    def __init__(self) -> None:
        super().__init__(GOALS, lambda: _metaworld().ML1("reach-v3", seed=SEED))


class ML10(_Benchmark):
    """ML10: 50 goals of each of ten environments to train on (0 to 499), and of each of five to test on (500 to 749).

    Meta-World's own sampler takes equally many tasks of each environment; here each is drawn by itself.
    """

    def __init__(self) -> None:
        super().__init__(10 * GOALS, lambda: _metaworld().ML10(seed=SEED))


def _metaworld() -> Any:
    try:
        import metaworld
    except ModuleNotFoundError as error:
        raise FamilyError(f"Meta-World: {error}; it is the extra `metaworld`: see `make test-metaworld`") from error
    return metaworld
