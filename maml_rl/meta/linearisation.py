"""The adaptation around theta: its derivative J_i = d theta_i' / d theta, and the transpose."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

from maml_rl.meta.inner_loop import Inner
from maml_rl.meta.problem import Batch
from maml_rl.models.derivatives import Derivatives, Product
from maml_rl.models.distributions import with_parts
from maml_rl.models.model import Model


@dataclass(frozen=True)
class Linearisation:
    """The inner loop of m tasks, and their models before each step and after the last, around theta.

    A tangent of theta is [P]; if the outer step moves alpha too it is [2 P], that of theta and that of alpha.
    """

    inner: Inner
    batches: Sequence[Batch]  # K + 1
    at: Sequence[Derivatives]  # K + 1, of the models at their batches' inputs
    hessians: Sequence[Product]  # K, of the inner loss; none for a first-order method
    gradients: Sequence[Tensor]  # K times [m, P], of the inner loss; none unless alpha is learned

    def push_forward(self, v: Tensor) -> Tensor:
        """J_i v for every task: [m, P]."""
        num_tasks = len(self.batches[0].weights)
        v, *v_alpha = v.tensor_split(2) if self.inner.learns_alpha else (v,)
        v_M = v.expand(num_tasks, -1)
        for k in range(self.inner.steps):
            if self.hessians:
                v_M = v_M - self.inner.alpha * self.hessians[k](v_M)
            for each in v_alpha:
                v_M = v_M - each * self.gradients[k]
        return v_M

    def pull_back(self, cotangents: Sequence[Tensor | None]) -> Tensor:
        """The sum over k of the transpose of d theta_k / d theta times the k-th cotangent [m, P]: [m, P] or [m, 2 P].

        Each H_i is its own transpose. With a vector alpha the transpose of alpha * H is H (alpha * .).
        """
        *earlier, u_M = cotangents
        assert u_M is not None, "the outer loss depends on the last models"
        by_alpha = torch.zeros_like(u_M)
        for k in reversed(range(self.inner.steps)):
            if self.inner.learns_alpha:
                by_alpha = by_alpha - self.gradients[k] * u_M
            if self.hessians:
                u_M = u_M - self.hessians[k](self.inner.alpha * u_M)
            if (cotangent := earlier[k]) is not None:
                u_M = u_M + cotangent
        return torch.cat([u_M, by_alpha], dim=1) if self.inner.learns_alpha else u_M

    def fisher(self, u_M: Tensor) -> Tensor:
        """F_i u_i for every task, F_i the mean Fisher information of the last models: [m, P] -> [m, P]."""
        last, distribution = self.at[-1], self.at[-1].distribution
        information = distribution.fisher(last.forward(u_M))  # type: ignore[arg-type] # of the same kind
        weights = self.batches[-1].weights[..., None]  # [m, N, 1]
        # Parameters that all of a task's steps share get the sum.
        parts = zip(information, distribution, strict=True)
        return last.backward(with_parts(distribution, [(weights * i).sum_to_size(of.shape) for i, of in parts]))


def linearise(
    model: Model,
    thetas_M: Sequence[Tensor],
    batches: Sequence[Batch],
    inner: Inner,
    kept: Sequence[Derivatives | None] = (),
) -> Linearisation:
    """thetas_M: [m, P] before each inner step and after the last. batches: as many. kept: derivatives there, if any."""
    given = zip_longest(thetas_M, batches, kept)
    at = [of or model.derivatives(theta_M, batch.inputs) for theta_M, batch, of in given]
    steps = list(zip(at[:-1], batches[:-1], strict=True))
    losses = [(each, lambda d, batch=batch: inner.loss(d, batch)) for each, batch in steps]
    hessians = [] if inner.first_order else [each.hessian(loss) for each, loss in losses]
    gradients = [each.gradient(loss) for each, loss in losses] if inner.learns_alpha else []
    return Linearisation(inner, batches, at, hessians, gradients)
