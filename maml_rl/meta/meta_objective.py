"""The meta-objective: the outer loss of the models along the inner loop, its gradient by theta and its curvature.

With theta_i' = theta - alpha * grad L_i(theta) and J_i = d theta_i' / d theta = I - alpha * H_i (for K steps the
product of the steps' matrices), and F_i the Fisher matrix of task i's adapted model at theta_i':

    gradient = mean_i J_i^T grad L_i(theta_i')        F v = mean_i J_i^T F_i J_i v

Both are exact. F_i u takes no second derivative: at theta_i' the Hessian of the KL is the Gauss-Newton matrix
D^T (Fisher information) D, with D the derivative of the distribution's parameters: (mean, log_std), or logits.

F is the Hessian of the KL that `evaluate` measures, with the inner loop taken anew on the same data: DiCE's estimate of
how it would change on fresh data is for the gradient alone.

F may be estimated on a part of the steps, every n-th of all episodes: neighbouring steps of an episode are alike. The
gradient, the outer loss and the KL test see every step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.meta.inner_loop import Inner, Path
from maml_rl.meta.linearisation import Linearisation, linearise
from maml_rl.meta.meta_gradient import meta_gradient
from maml_rl.meta.problem import OuterLoss, Problem


@dataclass(frozen=True)
class MetaObjective:
    """The outer loss around the point that drew the batches, in the form that a trust-region step takes.

    A point is theta [P]; if the inner loop's alpha is learned it is theta and alpha behind it, [2 P].
    """

    loss: float  # the outer loss at that point
    gradient: Tensor  # of the outer loss, by the point
    fisher_vector_product: Callable[[Tensor], Tensor]  # v -> F v
    evaluate: Callable[[Tensor], tuple[float, float]]  # point -> outer loss, KL(old || new) in nats


def meta_objective(
    problem: Problem, path: Path, inner: Inner, outer_loss: OuterLoss, stride: int = 1, first: int = 0
) -> MetaObjective:
    """Linearise the inner loop around the point that it was run from.

    path: as `inner_loop` leads through it. stride, first: the Fisher-vector products are computed on steps first,
    first + stride, ...; with a stride above 1 they are estimates, and nothing else is. The KL is that of the adapted
    models, a mean over a task's steps and then over tasks (Schulman et al. 2015, eq. 14).
    """
    model, last = problem.model, path.batches[-1]
    curved = [batch.every(stride, first) for batch in path.batches]
    kept: dict[int, Linearisation] = {}  # on the curvature's steps, by the first of the tasks
    at_point = meta_gradient(problem, path, inner, outer_loss)

    def fisher_vector_product(v: Tensor) -> Tensor:
        def task_products(tasks: slice) -> Tensor:
            if tasks.start not in kept:
                thetas_M = [theta_M[tasks] for theta_M in path.thetas_M]
                batches = [batch.rows(tasks) for batch in curved]
                kept[tasks.start] = linearise(model, thetas_M, batches, inner.of_line_search)
            around = kept[tasks.start]
            u_M = around.fisher(around.push_forward(v))
            return around.pull_back([None] * inner.steps + [u_M])

        return problem.mean(task_products, curved[-1]).to(v.dtype)

    def evaluate(point: Tensor) -> tuple[float, float]:
        theta, alpha = point.tensor_split(2) if inner.learns_alpha else (point, inner.alpha)

        @torch.no_grad()
        def losses_and_kls(tasks: slice) -> Tensor:
            batches = [batch.rows(tasks) for batch in path.batches]
            theta_M, distributions = theta.expand(problem.num_tasks, -1)[tasks], []
            for batch in batches[:-1]:
                at = model.derivatives(theta_M, batch.inputs)
                distributions.append(at.distribution)
                theta_M = theta_M - alpha * at.gradient(lambda d, batch=batch: inner.loss(d, batch))
            new = model.at(theta_M)(batches[-1].inputs)
            kl = (batches[-1].weights * at_point.adapted[tasks.start].kl_to(new)).sum(dim=1)  # type: ignore[arg-type] # same kind
            return torch.stack([outer_loss([*distributions, new], batches), kl], dim=1)

        loss, kl = problem.mean(losses_and_kls, last).tolist()
        return loss, kl

    return MetaObjective(at_point.loss, at_point.gradient, fisher_vector_product, evaluate)
