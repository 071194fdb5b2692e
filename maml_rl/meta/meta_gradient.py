"""The gradient of an outer loss of the models along the inner loop, by the point that the inner loop began at.

With theta_i' = theta - alpha * grad L_i(theta) and J_i = d theta_i' / d theta = I - alpha * H_i (for K steps the
product of the steps' matrices) it is mean_i J_i^T grad L_i(theta_i'), and what the outer loss has of the models on the
way there. It is exact.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.meta.inner_loop import Inner, Path, inner_step
from maml_rl.meta.linearisation import linearise
from maml_rl.meta.problem import OuterLoss, Problem
from maml_rl.models.derivatives import leaves
from maml_rl.models.distributions import Distribution, with_parts


@dataclass(frozen=True)
class MetaGradient:
    """The outer loss and its gradient at a point: theta [P]; if alpha is learned, theta and alpha behind it [2 P]."""

    loss: float
    gradient: Tensor  # by the point, in its dtype
    adapted: dict[int, Distribution]  # the last models, at all inputs, of the tasks of a chunk by the first of them


def meta_gradient(problem: Problem, path: Path, inner: Inner, outer_loss: OuterLoss) -> MetaGradient:
    """path: as `inner_loop` or `retraced` leads through it, from the point."""
    adapted: dict[int, Distribution] = {}

    def loss_and_gradient(tasks: slice) -> Tensor:
        batches = [batch.rows(tasks) for batch in path.batches]
        kept = [path.kept.pop((k, tasks.start, tasks.stop), None) for k in range(inner.steps)]
        around = linearise(problem.model, [theta_M[tasks] for theta_M in path.thetas_M], batches, inner, kept)
        heads = [leaves(at.distribution) for at in around.at]
        with torch.enable_grad():
            loss = outer_loss(heads, batches)
        flat = [part for head in heads for part in head]
        by_part = iter(torch.autograd.grad(loss.sum(), flat, allow_unused=True))
        cotangents: list[Tensor | None] = []
        for at, head in zip(around.at, heads, strict=True):
            parts = [(next(by_part), part) for part in head]
            unused = all(gradient is None for gradient, _ in parts)
            filled = [torch.zeros_like(part) if gradient is None else gradient for gradient, part in parts]
            cotangents.append(None if unused else at.backward(with_parts(head, filled)))
        adapted[tasks.start] = around.at[-1].distribution
        sums = [each.sum(dim=0, dtype=torch.float64) for each in (loss.detach()[:, None], around.pull_back(cotangents))]
        return torch.cat(sums)[None]

    loss, gradient = problem.mean(loss_and_gradient, path.batches[-1]).tensor_split([1])
    return MetaGradient(float(loss), gradient.to(path.thetas_M[0].dtype), adapted)


def retraced(problem: Problem, theta: Tensor, inner: Inner, path: Path) -> Path:
    """The inner loop from another theta [P], on the batches of a path: nothing is drawn."""
    thetas_M = [theta.expand(problem.num_tasks, -1)]
    for batch in path.batches[:-1]:
        thetas_M.append(inner_step(problem.model, thetas_M[-1], batch, inner.loss, inner.alpha))
    return Path(thetas_M, path.batches)
