"""Reinforcement learning as a `maml_rl.meta.problem.Problem`: a batch is episodes, played by the adapted policies."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from maml_rl.envs import Family, Simulation
from maml_rl.machine.keys import Draws
from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.meta.algorithm import Actor, FeedForward
from maml_rl.meta.problem import Estimator, Loss, OuterLoss
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.policy import Policy
from maml_rl.rl.losses import ESTIMATORS, importance_ratio, policy_gradient
from maml_rl.rl.sampler import NotFinite, collect, magnitude
from maml_rl.rl.samples import Samples, make_samples
from maml_rl.rl.trajectories import Trajectories
from maml_rl.schema.errors import Diverged

LARGE = 100.0  # magnitude of an observation from which on it is the likely reason of a divergence


@dataclass(frozen=True)
class Rollouts:
    """This rank's tasks of an iteration or evaluation. It plays each policy once, and keeps the trajectories."""

    model: Policy
    family: Family
    simulations: Sequence[Simulation]  # of the family, for the tasks one part after another
    tasks: Tensor  # [M, ...]
    draws: Draws  # of start states and noise: its k-th phase after k gradient steps
    horizon: int
    discount: float
    gae_lambda: float
    mean: TaskMean
    random: np.random.Generator
    progress: float = 0.0
    watch: Stopwatch = field(default_factory=Stopwatch)
    loss: Loss = policy_gradient
    outer_loss: OuterLoss = importance_ratio
    estimators: Mapping[str, Estimator] = field(default_factory=lambda: ESTIMATORS)
    step: str = "gradient step"  # the word for a step of adaptation
    step_size: str = "--inner-lr"  # the option to lower if a policy diverges
    outer_step_size: str = "--max-kl"  # and that if the update before led there
    trained_steps: int = 1  # those beyond are an evaluation's, by step sizes of their own
    trajectories: dict[int, Trajectories] = field(default_factory=dict)  # of the policies after k gradient steps

    @property
    def num_tasks(self) -> int:
        """M."""
        return len(self.tasks)

    def play(self, actor: Actor, k: int) -> Trajectories:
        """The episodes of the policies after k gradient steps."""
        if k not in self.trajectories:
            with self.watch("collect"):
                generator = self.draws.phase(k)
                try:
                    self.trajectories[k] = collect(
                        self.family, self.simulations, actor, self.tasks, generator, self.horizon
                    )
                except NotFinite as error:
                    raise self._diverged(error, k) from error
        return self.trajectories[k]

    def _diverged(self, error: NotFinite, k: int) -> Diverged:
        """The error in words for the user."""
        number, task = self.draws.first_task + error.task + 1, self.family.describe(self.tasks[error.task])
        steps = f"after {k} {self.step}{'s' * (k != 1)}"
        seen = [magnitude(each.observations[error.task]) for each in self.trajectories.values()]
        largest = max([error.largest, *seen])
        beyond = self.step == "gradient step" and k > max(1, self.trained_steps)
        lower = "--eval-lr-ratio" if beyond else self.step_size
        if largest > LARGE:
            advice = f"rescale the observations, which reach {largest:.2g}, to about 1, or lower {lower}"
        else:
            before = f"lower {self.outer_step_size}" if self.draws.iteration else "its parameters are no policy"
            advice = f"lower {lower}" if k else before
        return Diverged(f"task {number} ({task}), {steps}: {error.fault}: {advice}")

    def draw(self, theta_M: Tensor, k: int) -> Samples:
        """The batch of the episodes of theta_M [M, P], the policies after k gradient steps."""
        trajectories = self.play(FeedForward(self.model, theta_M), k)
        samples = make_samples(trajectories, self.discount, self.gae_lambda)
        old = self.model.over_actions(trajectories.outputs.flatten(1, 2), *self.model.shared(theta_M))
        return dataclasses.replace(samples, old=old)
