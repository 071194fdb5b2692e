"""An outer step, by a trust region or by Adam: from a path of the inner loop to new parameters."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from maml_rl.meta.adam import adam_start, adam_step
from maml_rl.meta.algorithm import Metrics, State
from maml_rl.meta.inner_loop import Inner, Path
from maml_rl.meta.meta_gradient import meta_gradient
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.meta.problem import OuterLoss, Problem
from maml_rl.meta.trust_region import Step, trust_region_step
from maml_rl.schema.bounds import Count, Within


@dataclass(frozen=True)
class TrustRegionOptions:
    """Options of algorithms with a trust-region outer step (Schulman et al. 2015)."""

    max_kl: Annotated[float, Within(0, open_low=True)] = 0.02
    """Trust region of a meta-update: largest mean KL divergence of the adapted policies, in nats (the paper: 0.01)."""
    cg_iterations: Count = 5
    """Conjugate-gradient iterations, one Fisher-vector product each (the paper: 10)."""
    cg_damping: Annotated[float, Within(0)] = 1e-5
    """Added to the diagonal of the Fisher matrix."""
    curvature_stride: Count = 10
    """The Fisher-vector products are computed on every n-th step of all episodes; 1 takes all steps (the paper).
    Gradient, surrogate loss and KL test always see all."""
    max_backtracks: Count = 15
    """Candidates of the line search."""
    backtrack_ratio: Annotated[float, Within(0, 1, open_low=True)] = 0.8
    """Length of each candidate of the line search over the one before."""


@dataclass(frozen=True)
class OuterStepOptions(TrustRegionOptions):
    """Options of algorithms that move the meta-parameters down an outer loss."""

    outer_step: Literal["trust-region", "adam"] = "trust-region"
    """Outer step: a natural gradient within a trust region, and a line search; or one step of Adam."""
    meta_lr: Annotated[float, Within(0, open_low=True)] = 1e-3
    """Step size of Adam as the outer step."""
    meta_lr_schedule: Literal["constant", "linear"] = "constant"
    """Whether that stays, or falls linearly, to 0 at the end of the run: with more iterations it falls more slowly."""

    @property
    def without_effect(self) -> list[str]:
        """The options that the other outer step has."""
        of_trust_region = [field.name for field in dataclasses.fields(TrustRegionOptions)]
        return of_trust_region if self.outer_step == "adam" else ["meta_lr", "meta_lr_schedule"]


def first_moments(point: Tensor, options: OuterStepOptions) -> State:
    """What the outer step keeps from one iteration to the next, in a new run: the entries of the state beside others.

    point: theta [P] or theta and alpha [2 P], that it moves.
    """
    return adam_start(point) if options.outer_step == "adam" else {}


def meta_step(
    problem: Problem,
    state: State,
    point: Tensor,
    path: Path,
    inner: Inner,
    outer_loss: OuterLoss,
    options: OuterStepOptions,
    moving: float | Tensor = 1.0,
) -> tuple[Tensor, State, Metrics]:
    """Move the point, theta [P] or theta and alpha [2 P], down the outer loss.

    state: holds what `first_moments` began. moving: 1 for the numbers of the point that move and 0 for those that stay,
    if not all do. Returns the point, what the outer step keeps, and metrics.
    """
    if options.outer_step == "adam":
        at = meta_gradient(problem, path, inner, outer_loss)
        lr = options.meta_lr * (1 - problem.progress if options.meta_lr_schedule == "linear" else 1)
        point, moments = adam_step(point, moving * at.gradient, state, lr)
        return point, moments, {"loss": at.loss}
    step, metrics = trust_region(problem, point, path, inner, outer_loss, options, moving)
    return step.theta, {}, metrics


def trust_region(
    problem: Problem,
    point: Tensor,
    path: Path,
    inner: Inner,
    outer_loss: OuterLoss,
    options: TrustRegionOptions,
    moving: float | Tensor,
) -> tuple[Step, Metrics]:
    """`meta_step` by a trust region. Returns the step and metrics."""
    # Another first step in each iteration, so that no step of an episode is never seen.
    first = int(problem.random.integers(options.curvature_stride))
    objective = meta_objective(problem, path, inner, outer_loss, options.curvature_stride, first)
    step = trust_region_step(
        point,
        objective.loss,
        moving * objective.gradient,
        lambda v: moving * objective.fisher_vector_product(moving * v),
        objective.evaluate,
        max_kl=options.max_kl,
        cg_iterations=options.cg_iterations,
        cg_damping=options.cg_damping,
        max_backtracks=options.max_backtracks,
        backtrack_ratio=options.backtrack_ratio,
    )
    metrics: Metrics = {
        "loss": step.loss,
        "kl": step.kl,
        "line_search/accepted": step.accepted,
        "line_search/backtracks": step.backtracks,
    }
    if inner.steps:
        metrics["inner_kl"] = inner_kl(problem, path, options.curvature_stride, first)
    return step, metrics


def inner_kl(problem: Problem, path: Path, stride: int = 1, first: int = 0) -> float:
    """KL(before || after the inner loop), a mean over the first batch's steps and over tasks (nats).

    If the inner loop keeps a Gaussian's log_std, sqrt(2 KL) is the RMS shift of its mean, in standard deviations.
    stride, first: the KL uses steps first, first + stride, ... of the batch drawn before the first inner step.
    """
    batch = path.batches[0].every(stride, first)

    @torch.no_grad()
    def kls(tasks: slice) -> Tensor:
        part = batch.rows(tasks)
        before, after = (
            problem.model.at(theta_M[tasks])(part.inputs) for theta_M in (path.thetas_M[0], path.thetas_M[-1])
        )
        return (part.weights * before.kl_to(after)).sum(dim=1)  # type: ignore[arg-type] # of the same kind

    return float(problem.mean(kls, batch))
