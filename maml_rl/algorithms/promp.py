"""ProMP: proximal meta-policy search (Rothfuss et al. 2019, section 6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adam import adam_start, adam_step
from maml_rl.meta.adaptation import gradient_steps
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.inner_loop import EstimatorOptions, Inner, InnerOptions, Path, inner_loop
from maml_rl.meta.meta_gradient import meta_gradient, retraced
from maml_rl.meta.meta_step import inner_kl
from maml_rl.meta.problem import OuterLoss, Problem
from maml_rl.models.distributions import Distribution
from maml_rl.models.model import Model
from maml_rl.rl.losses import clipped_ratio, kl_from_old
from maml_rl.schema.bounds import Count, Within


@dataclass(frozen=True)
class PrompOptions(InnerOptions, EstimatorOptions):
    """Options of ProMP."""

    inner_loss: Literal["plain", "lvc", "dice"] = "lvc"
    """Inner loss: all three have the policy gradient, and other second derivatives. lvc, the ratio of likelihoods, is
    the paper's."""
    meta_lr: Annotated[float, Within(0, open_low=True)] = 1e-3
    """Step size of Adam, which moves the meta-policy."""
    meta_epochs: Count = 5
    """Steps of Adam on the episodes of an iteration, each through inner steps that are taken anew."""
    clip: Annotated[float, Within(0, open_low=True)] = 0.3
    """The outer loss clips ratios of likelihoods to 1 +- clip."""
    kl_penalty: Annotated[float, Within(0)] = 5e-4
    """Weight of the KL divergence of the policies before adaptation from those that played (eta)."""
    target_kl: Annotated[float, Within(0)] = 0.0
    """The weight is halved if that KL divergence is below 2/3 of it, and doubled above 3/2; 0 keeps the weight."""


@dataclass(frozen=True)
class Promp:
    """Improve a clipped outer loss by several steps of Adam, not far from the policies that played."""

    options: PrompOptions

    @property
    def trained_steps(self) -> int:
        return self.options.inner_steps

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        penalty = torch.full((self.options.inner_steps,), self.options.kl_penalty)
        return {"theta": theta, "kl_penalty": penalty, **adam_start(theta)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        options = self.options
        inner = Inner(problem.estimators[options.inner_loss].loss, options.inner_lr, options.inner_steps)
        with problem.watch("adapt"):
            path = inner_loop(problem, state["theta"], inner)
        with problem.watch("outer"):
            outer_loss = proximal(options.clip, state["kl_penalty"])
            theta, moments, around = state["theta"], state, path
            first_loss = loss = 0.0
            for epoch in range(options.meta_epochs):
                at = meta_gradient(problem, around, inner, outer_loss)
                loss = at.loss
                first_loss = first_loss if epoch else loss
                theta, moments = adam_step(theta, at.gradient, moments, options.meta_lr)
                around = retraced(problem, theta, inner, path)
            *before, after = kls(problem, around)
            penalty = adapted_penalty(state["kl_penalty"], before, options.target_kl)
        metrics: Metrics = {
            "loss": loss,
            "kl": after,
            "promp/loss_first_epoch": first_loss,
            "promp/kl_pre": max(before),
            "promp/kl_penalty": float(state["kl_penalty"].mean()),
            "inner_kl": inner_kl(problem, path),
        }
        return {"theta": theta, "kl_penalty": penalty, **moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return gradient_steps(problem, state["theta"], self.step_sizes(state, first, first + steps), first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return self.options.inner_lrs(first, last)


def proximal(clip: float, penalty: Tensor) -> OuterLoss:
    """The clipped ratio of the adapted policies, plus the mean over steps of penalty [K] times the KL before each."""

    def outer_loss(distributions: Sequence[Distribution], batches: Sequence[Any]) -> Tensor:
        pairs = zip(penalty, distributions[:-1], batches[:-1], strict=True)
        total = sum((eta * kl_from_old(distribution, batch) for eta, distribution, batch in pairs), torch.tensor(0.0))
        return clipped_ratio(distributions[-1], batches[-1], clip) + total / len(
            penalty
        )  # a mean, as the authors' code

    return outer_loss


def kls(problem: Problem, path: Path) -> list[float]:
    """KL(the policies that played || those of the path), nats, on each batch: K + 1 means over steps and tasks."""

    @torch.no_grad()
    def of_tasks(tasks: slice) -> Tensor:
        batches: list[Any] = [batch.rows(tasks) for batch in path.batches]
        pairs = zip(path.thetas_M, batches, strict=True)
        return torch.stack([kl_from_old(problem.model.at(each[tasks])(of.inputs), of) for each, of in pairs], dim=1)

    return problem.mean(of_tasks, path.batches[-1]).tolist()


def adapted_penalty(penalty: Tensor, kl: Sequence[float], target: float) -> Tensor:
    """The weights [K] of the next iteration: a KL that is off its target by half moves its weight by a factor of 2."""
    factors = [0.5 if each < target / 1.5 else 2.0 if each > target * 1.5 else 1.0 for each in kl]
    return penalty * torch.tensor(factors if target > 0 else 1.0).to(penalty)
