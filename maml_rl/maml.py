"""The meta-objective: what the adapted policies are worth as a function of theta, its gradient and its curvature.

With theta_i' = theta - inner_lr * grad L_i(theta) and J_i = d theta_i' / d theta = I - inner_lr * H_i (for K steps the
product of the steps' matrices), and F_i the Fisher matrix of task i's adapted policy at theta_i':

    gradient = mean_i J_i^T grad L_i(theta_i')        F v = mean_i J_i^T F_i J_i v

Both are exact. H_i u is one backward pass through the graph of the inner gradient, which is kept. F_i u takes no second
derivative: at theta_i' the Hessian of the KL is the Gauss-Newton matrix, which is a forward-mode product with the
policy's (mean, log_std), their Fisher information, and a backward-mode product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.adaptation import adapt, inner_gradient
from maml_rl.policies import Gaussian, GaussianMlpPolicy
from maml_rl.samples import Samples, task_chunks


@dataclass(frozen=True)
class MetaObjective:
    """The surrogate loss around the theta that collected the samples, in the form that a trust-region step takes."""

    gradient: Tensor  # [P], of the surrogate loss
    fisher_vector_product: Callable[[Tensor], Tensor]  # v [P] -> F v [P]
    evaluate: Callable[[Tensor], tuple[float, float]]  # theta [P] -> surrogate loss, KL(old || new) in nats


@dataclass(frozen=True)
class _Chunk:
    """Some of the tasks, linearised at theta."""

    tasks: slice
    inner: list[tuple[Tensor, Tensor]]  # per inner step: its theta_M [m, P], and its gradient there, with its graph
    theta_M: Tensor  # [m, P], adapted
    post: Samples
    old: Gaussian  # of the adapted policies on the post-adaptation steps, with its graph
    loss_gradient: Tensor  # [m, P], grad L_i(theta_i')


def meta_objective(
    policy: GaussianMlpPolicy, theta: Tensor, batches: Sequence[Samples], post: Samples, inner_lr: float
) -> MetaObjective:
    """Linearise the adaptation around theta.

    theta: [P]. batches: K sets of samples before adaptation, the k-th collected with the parameters of inner step k.
    post: samples collected with the adapted policies.
    The surrogate loss is -mean(importance ratio * advantage), the KL that of the adapted policies, each a mean over a
    task's steps and then over tasks (Finn et al. 2017, section 5.3; Schulman et al. 2015, eq. 14).
    """
    num_tasks = post.weights.shape[0]
    chunks = [_linearise(policy, theta, batches, post, inner_lr, tasks) for tasks in task_chunks(post)]

    def through_adaptation(chunk: _Chunk, v_M: Tensor) -> Tensor:
        """J_i v_i for every task of the chunk: [m, P] -> [m, P]."""
        for theta_k, gradient_k in chunk.inner:
            v_M = v_M - inner_lr * _graph_product(gradient_k, theta_k, v_M)
        return v_M

    def back_through_adaptation(chunk: _Chunk, u_M: Tensor) -> Tensor:
        """mean_i J_i^T u_i over all tasks, the part of this chunk: [m, P] -> [P]. Each H_i is its own transpose."""
        for theta_k, gradient_k in reversed(chunk.inner):
            u_M = u_M - inner_lr * _graph_product(gradient_k, theta_k, u_M)
        return u_M.sum(dim=0) / num_tasks

    def fisher_vector_product(v: Tensor) -> Tensor:
        total = torch.zeros_like(v)
        for chunk in chunks:
            u_M = through_adaptation(chunk, v.expand(chunk.theta_M.shape))
            total += back_through_adaptation(chunk, _fisher_product(policy, chunk, u_M))
        return total

    def evaluate(candidate: Tensor) -> tuple[float, float]:
        loss = kl = 0.0
        for chunk in chunks:
            before = [batch.tasks(chunk.tasks) for batch in batches]
            loss_c, kl_c = _surrogate_and_kl(policy, candidate, before, chunk, inner_lr)
            loss, kl = loss + loss_c, kl + kl_c
        return loss / num_tasks, kl / num_tasks

    gradient = torch.zeros_like(theta)
    for chunk in chunks:
        gradient += back_through_adaptation(chunk, chunk.loss_gradient)
    return MetaObjective(gradient, fisher_vector_product, evaluate)


def _linearise(
    policy: GaussianMlpPolicy, theta: Tensor, batches: Sequence[Samples], post: Samples, inner_lr: float, tasks: slice
) -> _Chunk:
    post = post.tasks(tasks)
    theta_M = theta.expand(post.weights.shape[0], -1)
    inner: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        theta_M = theta_M.detach().requires_grad_()
        gradient = inner_gradient(policy, theta_M, batch.tasks(tasks), create_graph=True)
        inner.append((theta_M, gradient))
        theta_M = theta_M - inner_lr * gradient
    theta_M = theta_M.detach().requires_grad_()
    old = policy.distribution(theta_M, post.observations)
    # At the old policy the importance ratio is 1, and its gradient that of the log-probability.
    surrogate = -(post.weights * post.advantages * old.log_prob(post.actions)).sum()
    (loss_gradient,) = torch.autograd.grad(surrogate, theta_M, retain_graph=True)
    return _Chunk(tasks, inner, theta_M, post, old, loss_gradient)


def _graph_product(gradient: Tensor, theta_M: Tensor, v_M: Tensor) -> Tensor:
    """H_i v_i for every task, H_i the Hessian whose gradient, with its graph, is given: all [m, P]."""
    return torch.autograd.grad(gradient, theta_M, v_M, retain_graph=True)[0]


def _fisher_product(policy: GaussianMlpPolicy, chunk: _Chunk, u_M: Tensor) -> Tensor:
    """F_i u_i for every task, F_i the mean over its steps of the Fisher information: [m, P] -> [m, P]."""
    observations = chunk.post.observations
    tangent = torch.func.jvp(
        lambda theta_M: policy.distribution(theta_M, observations), (chunk.theta_M.detach(),), (u_M,)
    )[1]
    information = chunk.old.fisher(tangent)
    weights = chunk.post.weights[..., None]  # [m, N, 1]
    cotangent = (weights * information.mean, weights.sum(dim=1, keepdim=True) * information.log_std)
    cotangent = [part.detach() for part in cotangent]
    return torch.autograd.grad(chunk.old, chunk.theta_M, cotangent, retain_graph=True)[0]


def _surrogate_and_kl(
    policy: GaussianMlpPolicy, theta: Tensor, before: Sequence[Samples], chunk: _Chunk, inner_lr: float
) -> tuple[float, float]:
    """Sums over the chunk's tasks of the surrogate loss and of KL(old || new), after adapting theta anew."""
    post = chunk.post
    theta_M = adapt(policy, theta.expand(chunk.theta_M.shape), before, inner_lr)
    with torch.no_grad():
        new = policy.distribution(theta_M, post.observations)
        ratio = (new.log_prob(post.actions) - chunk.old.log_prob(post.actions)).exp()
        loss = -(post.weights * post.advantages * ratio).sum()
        kl = (post.weights * chunk.old.kl_to(new)).sum()
    return float(loss), float(kl)
