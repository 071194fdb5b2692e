"""Classes as users write them, sound and unsound ones. Worker processes import them by this module's name."""

import os
import random
import signal

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, Sequence, Tuple

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


class Exact(Counter):
    """Takes actions of its space only."""

    def step(self, action):
        assert self.action_space.contains(action)
        assert action.dtype == self.action_space.dtype
        return super().step(action)


class ManyActions(Tasks):
    class env(Exact):
        action_space = MultiDiscrete(np.array([[2, 3]]), dtype=np.int32, start=np.array([[0, 5]]))


class Buttons(Tasks):
    class env(Exact):
        action_space = MultiBinary((2, 2))


class Parts(Tasks):
    """Observes its step and its task in parts, of every kind of space that is of a fixed size."""

    class env(Counter):
        observation_space = Dict(  # type: ignore[assignment]
            step=Discrete(9, start=-1),
            more=Tuple((Box(-1, 1, (1, 2)), MultiDiscrete([2, 3]), MultiBinary(2))),
        )

        def observe(self, action):
            numbers = [[np.float32(self.task), 0.5]]
            return {"step": self.t, "more": (numbers, np.array([1, self.t % 3]), np.array([0, 1], dtype=np.int8))}


class Arrays(Tasks):
    def sample_tasks(self, n, rng):
        return [np.array([0.5, rng.uniform()]) for _ in range(n)]

    def set_task(self, env, task):
        env.unwrapped.task = task[0]


class Balanced(Tasks):
    """Half of a meta-batch's tasks are short, and half are long."""

    def sample_tasks(self, n, rng):
        return rng.permutation(np.resize([0.25, 0.75], n))


class Benchmark(Tasks):
    """A task is the number of a goal, and the goals are drawn as the class is built."""

    def __init__(self):
        self.goals = np.random.uniform(size=50)

    def sample_tasks(self, n, rng):
        return rng.integers(50, size=n)

    def set_task(self, env, task):
        env.unwrapped.task = self.goals[int(task)]


class GlobalTasks(Tasks):
    def sample_tasks(self, n, rng):
        return [random.random() + np.random.random() for _ in range(n)]


class Named(Tasks):
    def sample_tasks(self, n, rng):
        return [{"length": length, "wind": np.array([0.0, 0.1])} for length in rng.uniform(size=n)]

    def set_task(self, env, task):
        assert type(task["length"]) is float
        env.unwrapped.task = task["length"] + task["wind"][1]


class OnlyHits(Balanced):
    class env(Counter):
        def step(self, action):
            observation, reward, terminated, truncated, _ = super().step(action)
            return observation, reward, terminated, truncated, {"success": True} if self.t == 5 else {}


class OnlyAtTheEnd(Tasks):
    class env(Counter):
        def step(self, action):
            observation, reward, terminated, truncated, _ = super().step(action)
            return observation, reward, terminated, truncated, {"success": np.bool_(self.t > 4)} if truncated else {}


class OtherName(Tasks):
    class env(Counter):
        def step(self, action):
            return *super().step(action)[:4], {"is_success": float(self.t == 5)}


class Painted(Tasks):
    """Renders one colour: the step, the task, and chance that is observed too."""

    class env(Counter):
        metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - so in gymnasium.Env

        def observe(self, action):
            self.seen = super().observe(action)
            return self.seen

        def render(self):
            np.random.uniform(size=self.t)  # which the episode's own chance must not notice
            if self.render_mode != "rgb_array":
                return None
            return np.full((30, 20, 3), self.colour(), np.uint8)

        def colour(self):
            return 20 * self.t, int(200 * self.task), int(50 * abs(self.seen[1, 1])) % 256


class Pendulums(Tasks):
    """One of Gymnasium's MuJoCo environments, made for no pictures."""

    def make_env(self):
        return gymnasium.make("InvertedPendulum-v5", width=64, height=64)

    def set_task(self, env, task):
        pass


# ---- unsound


class Unpainted(Painted):
    """Says that it renders, and does not."""

    class env(Painted.env):
        def render(self):
            return None


class Smudged(Painted):
    """Fails as it draws its third step."""

    class env(Painted.env):
        def render(self):
            if self.t == 3:
                raise ImportError("no brush:\npip install brush")
            return super().render()


class Restless(Painted):
    """Pays what no seed decides."""

    class env(Painted.env):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, np.random.default_rng().uniform(), *rest


class Unseeded(Benchmark):
    def __init__(self):
        self.goals = np.random.default_rng().uniform(size=50)


class Moody(Tasks):
    class env(Counter):
        def observe(self, action):
            return np.random.default_rng().uniform(size=(2, 3))


class Refuses(Tasks):
    def sample_tasks(self, n, rng):
        assert n % 2 == 0, "n must be even"
        return rng.uniform(size=n)


class OldReset(Tasks):
    class env(Counter):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)[0]


class NoSeed(Tasks):
    class env(Counter):
        def reset(self):  # type: ignore[override]
            return super().reset()


class OldStep(Tasks):
    class env(Counter):
        def step(self, action):
            observation, reward, _, truncated, info = super().step(action)
            return observation, reward, truncated, info


class RewardArray(Tasks):
    class env(Counter):
        def step(self, action):
            observation, reward, *rest = super().step(action)
            return observation, np.array([reward]), *rest


class EndArray(Tasks):
    class env(Counter):
        def step(self, action):
            observation, reward, terminated, *rest = super().step(action)
            return observation, reward, np.array([terminated]), *rest


class RewardText(Tasks):
    class env(Counter):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, "1", *rest


class NoSpaces(Tasks):
    env = gymnasium.Env  # type: ignore[assignment]


class HugeTasks(Tasks):
    def sample_tasks(self, n, rng):
        return [10**400] * n


class NoRng(Tasks):
    def sample_tasks(self, n):  # type: ignore[override]
        return [0.5] * n


class NoActionSpace(Tasks):
    class env(Counter):
        action_space = None  # type: ignore[assignment]


class NoInfo(Tasks):
    class env(Counter):
        def step(self, action):
            return *super().step(action)[:4], None


class SuccessText(Tasks):
    class env(Counter):
        def step(self, action):
            return *super().step(action)[:4], {"success": "yes"}


class NoSetTask:
    def make_env(self):
        return Counter()

    def sample_tasks(self, n, rng):
        return rng.uniform(size=n)


class Arguments(Tasks):
    def __init__(self, size):
        pass


class PairOfActions(Tasks):
    class env(Counter):
        action_space = Tuple((Discrete(2), Discrete(3)))


class NoActions(Tasks):
    class env(Counter):
        action_space = MultiDiscrete(np.zeros((0,), dtype=int))


class GraphObservations(Tasks):
    class env(Counter):
        observation_space = Dict(x=Graph(Box(0, 1), None))  # type: ignore[assignment]


class SequenceObservations(Tasks):
    class env(Counter):
        observation_space = Sequence(Discrete(2))  # type: ignore[assignment]


class EmptyObservations(Tasks):
    class env(Counter):
        observation_space = Dict()  # type: ignore[assignment]


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


class LacksPart(Tasks):
    class env(Parts.env):
        def observe(self, action):
            return {"step": self.t}


class WrongPart(Tasks):
    """Its second choice, at the third step, is one that its space does not have."""

    class env(Parts.env):
        def observe(self, action):
            step, (numbers, _, bits) = super().observe(action).values()
            return {"step": step, "more": (numbers, np.array([1, self.t]), bits)}


class SmallPart(Tasks):
    class env(Parts.env):
        def observe(self, action):
            step, (_, *rest) = super().observe(action).values()
            return {"step": step, "more": (np.zeros(1), *rest)}


class NoNumbers(Tasks):
    class env(Counter):
        def observe(self, action):
            return {"x": super().observe(action)}


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


class Unscaled(Tasks):
    """Observations so far from unit scale that a policy overflows."""

    class env(Counter):
        def observe(self, action):
            return 1e38 * super().observe(action)
