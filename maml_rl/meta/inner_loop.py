"""The inner loop: gradient steps from theta to one adapted model per task. Everything that adapts uses it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor

from maml_rl.machine.threads import parallel_map
from maml_rl.meta.problem import Batch, Loss, Problem
from maml_rl.meta.task_mean import CACHE_ROWS, task_chunks
from maml_rl.models.derivatives import Derivatives
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Count, Within

KEPT_ROWS = 8 * CACHE_ROWS  # of all tasks: their derivatives then take some 100 MB, and policies' less


@dataclass(frozen=True)
class InnerOptions:
    """Options of algorithms that adapt by gradient steps."""

    inner_lr: Annotated[float, Within(0)] = 0.1
    """Step size of the inner loop (the paper's alpha)."""
    inner_steps: Count = 1
    """Gradient steps of the inner loop, each on data of its own."""
    eval_lr_ratio: Annotated[float, Within(0)] = 0.5
    """Step size of evaluation's inner steps beyond the trained ones, over inner_lr."""

    def inner_lrs(self, first: int, last: int) -> list[float]:
        """Step sizes of an evaluation's steps first to last - 1 (Finn et al. 2017, appendix A.2: 0.1, then 0.05)."""
        return [self.inner_lr * (1 if k < self.inner_steps else self.eval_lr_ratio) for k in range(first, last)]


@dataclass(frozen=True)
class EstimatorOptions:
    """Options of algorithms that differentiate through the inner loop."""

    inner_loss: Literal["plain", "lvc", "dice"] = "plain"
    """Inner loss: all three have the policy gradient, and other second derivatives. plain takes that of the logarithm
    of the probabilities (Finn et al. 2017), lvc of their ratio (Rothfuss et al. 2019), dice of whole episodes (Foerster
    et al. 2018)."""


@dataclass(frozen=True)
class Inner:
    """theta_i' = theta_i - alpha * grad L_i(theta_i), `steps` times (Finn et al. 2017, eq. 1)."""

    loss: Loss
    alpha: float | Tensor  # one step size, or one per parameter [P]
    steps: int
    first_order: bool = False  # whether derivatives through it take its Hessians as zero
    learns_alpha: bool = False  # whether the outer step moves alpha [P] too
    retaken: Loss | None = None  # as of an `Estimator`; None: `loss`

    @property
    def of_line_search(self) -> "Inner":
        """The inner loop as it is taken anew from other points on the same data, with the Hessians that it then has."""
        return dataclasses.replace(self, loss=self.retaken or self.loss)


@dataclass(frozen=True)
class Path:
    """The parameters along the inner loop, and the data that led there."""

    thetas_M: Sequence[Tensor]  # K + 1 times [M, P], before each inner step and after the last
    batches: Sequence[Batch]  # K + 1, the k-th drawn with the k-th of these; or K, if nothing is drawn in the end
    # The models' derivatives before an inner step, by its number and the first and the last of a chunk of tasks. Small
    # ones are kept for the meta-gradient, which takes them out.
    kept: dict[tuple[int, int, int], Derivatives] = field(default_factory=dict)


def inner_loop(problem: Problem, theta: Tensor, inner: Inner) -> Path:
    """Draw a batch and take a step, `inner.steps` times, and draw the last batch. theta: [P]."""
    path = descent(problem, theta, inner, keep=True)
    return Path(path.thetas_M, [*path.batches, problem.draw(path.thetas_M[-1], inner.steps)], path.kept)


def descent(problem: Problem, theta: Tensor, inner: Inner, keep: bool = False) -> Path:
    """`inner_loop` without the last batch: K batches lead to K + 1 models. keep: derivatives, if they are small."""
    thetas_M, batches = [theta.expand(problem.num_tasks, -1)], []
    kept: dict[tuple[int, int, int], Derivatives] = {}
    for k in range(inner.steps):
        batches.append(problem.draw(thetas_M[-1], k))
        keeping = partial(_keep, kept, k) if keep and _is_small(problem.model, batches[-1]) else None
        thetas_M.append(inner_step(problem.model, thetas_M[-1], batches[-1], inner.loss, inner.alpha, keeping))
    return Path(thetas_M, batches, kept)


def _is_small(model: Model, batch: Batch) -> bool:
    return batch.weights.numel() * model.rows_per_input <= KEPT_ROWS


def _keep(kept: dict[tuple[int, int, int], Derivatives], k: int, chunk: slice, at: Derivatives) -> None:
    kept[k, chunk.start, chunk.stop] = at


def inner_step(
    model: Model,
    theta_M: Tensor,
    batch: Batch,
    loss: Loss,
    alpha: float | Tensor,
    keep: Callable[[slice, Derivatives], None] | None = None,
) -> Tensor:
    """theta_M - alpha * grad L_i(theta_i) for every task: [M, P], detached. keep: as of `task_gradients`."""
    return theta_M.detach() - alpha * task_gradients(model, theta_M, batch, loss, keep)


def task_gradients(
    model: Model,
    theta_M: Tensor,
    batch: Batch,
    loss: Loss,
    keep: Callable[[slice, Derivatives], None] | None = None,
) -> Tensor:
    """grad L_i(theta_i) for every task: [M, P], detached. keep: given the derivatives of each chunk of tasks."""

    def gradients(chunk: slice) -> Tensor:
        part = batch.rows(chunk)
        at = model.derivatives(theta_M[chunk].detach(), part.inputs)
        if keep:
            keep(chunk, at)
        return at.gradient(lambda d: loss(d, part))

    return torch.cat(parallel_map(gradients, task_chunks(batch, rows_per_step=model.rows_per_input)))
