"""Classes as users write them, sound and unsound ones. Worker processes import them by this module's name."""

import os
import random
import signal

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

NAME = "tests.envs.tasks_for_tests"


class Counter(gymnasium.Env):
    """Observes the step, the task, three sorts of chance, and its action; ends at the step that the task says."""

    observation_space = Box(-np.inf, np.inf, (2, 3), np.float64)
    action_space: gymnasium.Space = Box(np.array([0.0, -1.0]), np.array([10.0, 3.0]), dtype=np.float64)
    task = 0.0

    def observe(self, action: float) -> np.ndarray:
        draws = self.np_random.normal(), np.random.normal(), random.random()
        return np.array([[self.t, self.task, action], draws])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observe(0.0), {}

    def step(self, action):
        self.t += 1
        numbers = np.asarray(action, dtype=float).ravel()
        last = self.t == 3 + round(4 * self.task)
        return self.observe(numbers[-1]), float(numbers[0]), False, last, {"success": self.t == 2}


class Tasks:
    """Truncated after 3 to 7 steps."""

    env = Counter

    def make_env(self):
        return self.env()

    def sample_tasks(self, n, rng):
        return rng.uniform(size=n)

    def set_task(self, env, task):
        assert type(task) is float
        env.unwrapped.task = task


class Choices(Tasks):
    class env(Counter):
        action_space = Discrete(3, start=5)


class Arrays(Tasks):
    def sample_tasks(self, n, rng):
        return [np.array([0.5, rng.uniform()]) for _ in range(n)]

    def set_task(self, env, task):
        env.unwrapped.task = task[0]


# ---- unsound


class NoSetTask:
    def make_env(self):
        return Counter()

    def sample_tasks(self, n, rng):
        return rng.uniform(size=n)


class Arguments(Tasks):
    def __init__(self, size):
        pass


class ManyActions(Tasks):
    class env(Counter):
        action_space = MultiDiscrete([2, 3])


class DictObservations(Tasks):
    class env(Counter):
        observation_space = Dict(x=Box(0, 1))  # type: ignore[assignment]


class Ragged(Tasks):
    def sample_tasks(self, n, rng):
        return [np.zeros(i + 1) for i in range(n)]


class TooFew(Tasks):
    def sample_tasks(self, n, rng):
        return [0.5]


class Words(Tasks):
    def sample_tasks(self, n, rng):
        return ["north"] * n


class NoEnv(Tasks):
    def make_env(self):
        return None


class OneEnv(Tasks):
    def __init__(self):
        self.one = Counter()

    def make_env(self):
        return self.one


class NanObservation(Tasks):
    class env(Counter):
        def observe(self, action):
            return super().observe(action) * (np.nan if self.t == 2 else 1)


class NanReward(Tasks):
    class env(Counter):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, np.nan, *rest


class Flat(Tasks):
    class env(Counter):
        def observe(self, action):
            return super().observe(action)[0]


class UnpicklableError(Exception):
    def __init__(self, what, why):
        super().__init__(what)
        self.why = lambda: why


class Raises(Tasks):
    class env(Counter):
        steps = 0

        def step(self, action):
            self.steps += 1
            if self.steps == 25:
                raise UnpicklableError("the gripper is stuck", "rust")
            return super().step(action)


class Killed(Tasks):
    class env(Counter):
        def step(self, action):
            os.kill(os.getpid(), signal.SIGKILL)
