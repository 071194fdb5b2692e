"""RL^2: a recurrent policy learns within a trial, by what it remembers (Duan et al. 2016, section 2)."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.wrappers.trial import tail_size
from maml_rl.machine.threads import one_torch_thread
from maml_rl.meta.adam import adam_start, adam_step
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.problem import Problem
from maml_rl.models.distributions import Distribution
from maml_rl.models.gru import GruPolicy
from maml_rl.models.model import Model
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import clipped_ratio, kl_from_old, mean_entropy
from maml_rl.rl.recurrent import Recurrent, fresh_start
from maml_rl.rl.rollouts import Rollouts
from maml_rl.rl.samples import Samples, make_samples
from maml_rl.rl.trajectories import Trajectories
from maml_rl.rl.trial import joined
from maml_rl.schema.bounds import Count, Within
from maml_rl.schema.errors import UsageError

# Trials that a GRU takes through its steps at once, on a CPU: 17, 11, 15 us a step of 20, 100, 400 trials (W = 64).
TRIALS = 100


@dataclass(frozen=True)
class Rl2Options:
    """Options of RL^2."""

    trial_episodes: Count = 2
    """Episodes of a trial: the policy remembers the earlier ones, and learns to make use of them."""
    meta_lr: Annotated[float, Within(0, open_low=True)] = 1e-3
    """Step size of Adam."""
    meta_epochs: Count = 5
    """Steps of Adam on the trials of an iteration."""
    clip: Annotated[float, Within(0, open_low=True)] = 0.2
    """The loss clips ratios of likelihoods to 1 +- clip."""
    entropy_weight: Annotated[float, Within(0)] = 0.01
    """Weight of the policy's entropy (nats) in the loss."""


def with_gru(policy: MlpPolicy, options: Rl2Options) -> GruPolicy:
    """The policy with a GRU for its last hidden layer. Raises UsageError if there is none."""
    sizes = {name: value for name, value in vars(policy).items() if name != "context_size"}
    if not policy.hidden_sizes:
        raise UsageError(
            "--hidden-sizes: got none, allowed with --algorithm rl2: one width or more, the last of them the GRU's"
        )
    return GruPolicy(**sizes)


@dataclass(frozen=True)
class Rl2:
    """Play trials of several episodes with one memory, and improve what all of a trial pays by clipped ratios."""

    options: Rl2Options

    @property
    def trained_steps(self) -> int:
        return self.options.trial_episodes - 1

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **adam_start(theta)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        options, theta, moments = self.options, state["theta"], state
        rollouts = playing(problem)
        actors = self.adapt(state, problem, self.trained_steps)
        trials = as_trials([rollouts.play(actor, k) for k, actor in enumerate(actors)], theta, rollouts)
        with problem.watch("outer"):
            losses: list[float] = []
            for _ in range(options.meta_epochs):
                loss, gradient = loss_gradient(problem, theta, trials, options)
                losses.append(loss)
                theta, moments = adam_step(theta, gradient.to(theta), moments, options.meta_lr)
            kl, entropy = kl_and_entropy(problem, theta, trials)
        metrics: Metrics = {
            "loss": losses[-1],
            "kl": kl,
            "rl2/loss_first_epoch": losses[0],
            "rl2/entropy": entropy,
        }
        return {"theta": theta, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        """Actors before and after each of `steps` episodes of a trial, which an earlier one may have begun."""
        rollouts = playing(problem)
        model, theta = gru_of(rollouts), state["theta"]
        fresh = fresh_start(model, problem.num_tasks, theta)
        actor = Recurrent(model, theta, state["memory"].expand_as(fresh) if "memory" in state else fresh)
        yield actor
        for k in range(first, first + steps):
            actor = actor.after(rollouts.play(actor, k))
            yield actor

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return []


@dataclass(frozen=True)
class Trials:
    """E trials of each task, of T steps: N = E * T."""

    model: GruPolicy
    batch: Samples
    number: int  # E

    def distributions(self, theta: Tensor, tasks: slice) -> Distribution:
        """The policy of theta [P] along some tasks' trials [m, N, A], from an empty memory: in theta's dtype."""
        inputs = self.batch.inputs[tasks].to(theta).unflatten(1, (self.number, -1))  # [m, E, T, O]
        return self.model.unrolled_at(theta)(inputs, inputs.new_zeros(*inputs.shape[:2], self.model.memory_size))[0]

    def mean(self, problem: Problem, function: Callable[[slice], Tensor]) -> Tensor:
        """The mean of a function over tasks. PyTorch's threads would spin between the GRU's short operations."""
        steps = self.batch.weights.shape[1] // self.number
        return problem.mean(one_torch_thread()(function), self.batch, rows=TRIALS * steps)


def playing(problem: Problem) -> Rollouts:
    """The problem as one of reinforcement learning."""
    assert isinstance(problem, Rollouts), "RL^2 plays episodes"
    return problem


def gru_of(rollouts: Rollouts) -> GruPolicy:
    """Its model, which remembers."""
    assert isinstance(rollouts.model, GruPolicy), "RL^2 has a policy with a memory"
    return rollouts.model


def as_trials(episodes: Sequence[Trajectories], theta: Tensor, rollouts: Rollouts) -> Trials:
    """The episodes of trials that theta [P] has played, one after another, with advantages over whole trials."""
    model = gru_of(rollouts)
    whole = joined(episodes, tail_size(model.action_size))
    samples = make_samples(whole, rollouts.discount, rollouts.gae_lambda)
    shared = model.shared(theta.expand(rollouts.num_tasks, -1))
    old = model.over_actions(whole.outputs.flatten(1, 2), *shared)
    return Trials(model, dataclasses.replace(samples, old=old), whole.rewards.shape[1])


def loss_gradient(problem: Problem, theta: Tensor, trials: Trials, options: Rl2Options) -> tuple[float, Tensor]:
    """The loss of theta [P], and its gradient [P]: clipped ratio minus weighted entropy, a mean over tasks.

    In float64: theta is one for all tasks, so that the sums over a chunk's tasks are the GRU's own, and the last bits
    of sums in float32 would depend on how the tasks are divided among ranks.
    """

    def of_tasks(tasks: slice) -> Tensor:
        part = trials.batch.rows(tasks)
        point = theta.detach().double().requires_grad_()
        with torch.enable_grad():
            distribution = trials.distributions(point, tasks)
            bonus = options.entropy_weight * mean_entropy(distribution, part)
            total = (clipped_ratio(distribution, part, options.clip) - bonus).sum()
        (gradient,) = torch.autograd.grad(total, point)
        return torch.cat([total.detach()[None], gradient])[None]

    mean = trials.mean(problem, of_tasks)
    return float(mean[0]), mean[1:]


def kl_and_entropy(problem: Problem, theta: Tensor, trials: Trials) -> tuple[float, float]:
    """KL(the policy that played || theta) and the entropy of theta [P], nats: means over steps and tasks."""

    @torch.no_grad()
    def of_tasks(tasks: slice) -> Tensor:
        part, distribution = trials.batch.rows(tasks), trials.distributions(theta.double(), tasks)
        return torch.stack([kl_from_old(distribution, part), mean_entropy(distribution, part)], dim=1)

    kl, entropy = trials.mean(problem, of_tasks).tolist()
    return kl, entropy
