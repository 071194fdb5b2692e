"""The meta-objective: what the adapted policies are worth as a function of theta, its gradient and its curvature.

With theta_i' = theta - inner_lr * grad L_i(theta) and J_i = d theta_i' / d theta = I - inner_lr * H_i (for K steps the
product of the steps' matrices), and F_i the Fisher matrix of task i's adapted policy at theta_i':

    gradient = mean_i J_i^T grad L_i(theta_i')        F v = mean_i J_i^T F_i J_i v

Both are exact. H_i u is one backward pass through the graph of the inner gradient, which is kept. F_i u takes no second
derivative: at theta_i' the Hessian of the KL is the Gauss-Newton matrix D^T (Fisher information) D, with D the
derivative of the policy's (mean, log_std). D^T w is a backward pass, and D u one through the graph of w -> D^T w.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.adaptation import adapt, inner_gradient
from maml_rl.parallel import parallel_map
from maml_rl.policies import Gaussian, GaussianMlpPolicy
from maml_rl.samples import Samples, task_chunks


@dataclass(frozen=True)
class MetaObjective:
    """The surrogate loss around the theta that collected the samples, in the form that a trust-region step takes."""

    gradient: Tensor  # [P], of the surrogate loss
    fisher_vector_product: Callable[[Tensor], Tensor]  # v [P] -> F v [P]
    evaluate: Callable[[Tensor], tuple[float, float]]  # theta [P] -> surrogate loss, KL(old || new) in nats


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
    chunks = parallel_map(
        lambda tasks: _linearise(policy, theta, [batch.tasks(tasks) for batch in batches], post.tasks(tasks), inner_lr),
        task_chunks(post),
    )

    def mean_over_tasks(function: Callable[[_Chunk], Tensor]) -> Tensor:
        sums = parallel_map(lambda chunk: function(chunk).sum(dim=0), chunks)
        return torch.stack(sums).sum(dim=0) / num_tasks

    def fisher_vector_product(v: Tensor) -> Tensor:
        return mean_over_tasks(lambda chunk: chunk.pull_back(chunk.fisher(chunk.push_forward(v))))

    def evaluate(candidate: Tensor) -> tuple[float, float]:
        loss, kl = mean_over_tasks(lambda chunk: chunk.surrogate_and_kl(candidate)).tolist()
        return loss, kl

    gradient = mean_over_tasks(lambda chunk: chunk.pull_back(chunk.loss_gradient))
    return MetaObjective(gradient, fisher_vector_product, evaluate)


@dataclass(frozen=True)
class _Chunk:
    """m of the tasks, linearised at theta. The graphs of all first derivatives are kept, to be multiplied with."""

    policy: GaussianMlpPolicy
    inner_lr: float
    batches: Sequence[Samples]  # before adaptation
    post: Samples
    inner: list[tuple[Tensor, Tensor]]  # per inner step: its theta_M [m, P], and its gradient there [m, P]
    theta_M: Tensor  # [m, P], adapted
    old: Gaussian  # pi_theta_i' on the post-adaptation steps
    loss_gradient: Tensor  # [m, P], grad L_i(theta_i')
    cotangent: Gaussian  # w, a placeholder
    pulled_cotangent: Tensor  # D^T w [m, P]

    def push_forward(self, v: Tensor) -> Tensor:
        """J_i v for every task: [P] -> [m, P]."""
        v_M = v.expand(self.theta_M.shape)
        for theta_M, gradient in self.inner:
            v_M = v_M - self.inner_lr * _backward(gradient, theta_M, v_M)
        return v_M

    def pull_back(self, u_M: Tensor) -> Tensor:
        """J_i^T u_i for every task: [m, P] -> [m, P]. Each H_i is its own transpose."""
        for theta_M, gradient in reversed(self.inner):
            u_M = u_M - self.inner_lr * _backward(gradient, theta_M, u_M)
        return u_M

    def fisher(self, u_M: Tensor) -> Tensor:
        """F_i u_i for every task, F_i the mean over its steps of the Fisher information: [m, P] -> [m, P]."""
        with torch.no_grad():
            tangent = Gaussian(*torch.autograd.grad(self.pulled_cotangent, self.cotangent, u_M, retain_graph=True))
            information = self.old.fisher(tangent)
            weights = self.post.weights[..., None]  # [m, N, 1]
            # One log_std serves all of a task's steps, and its tangent is the same at each.
            weighted = [weights * information.mean, weights.sum(dim=1, keepdim=True) * information.log_std]
        return torch.autograd.grad(self.old, self.theta_M, weighted, retain_graph=True)[0]

    def surrogate_and_kl(self, theta: Tensor) -> Tensor:
        """Surrogate loss and KL(old || new) of every task [m, 2], after adapting theta [P] anew."""
        theta_M = adapt(self.policy, theta.expand(self.theta_M.shape), self.batches, self.inner_lr)
        with torch.no_grad():
            new = self.policy.distribution(theta_M, self.post.observations)
            ratio = (new.log_prob(self.post.actions) - self.old.log_prob(self.post.actions)).exp()
            loss = -(self.post.weights * self.post.advantages * ratio).sum(dim=1)
            kl = (self.post.weights * self.old.kl_to(new)).sum(dim=1)
        return torch.stack([loss, kl], dim=1)


def _linearise(
    policy: GaussianMlpPolicy, theta: Tensor, batches: Sequence[Samples], post: Samples, inner_lr: float
) -> _Chunk:
    theta_M = theta.expand(post.weights.shape[0], -1)
    inner: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        theta_M = theta_M.detach().requires_grad_()
        gradient = inner_gradient(policy, theta_M, batch, create_graph=True)
        inner.append((theta_M, gradient))
        theta_M = theta_M - inner_lr * gradient
    theta_M = theta_M.detach().requires_grad_()
    old = policy.distribution(theta_M, post.observations)
    # At the old policy the importance ratio is 1, and its gradient that of the log-probability.
    surrogate = -(post.weights * post.advantages * old.log_prob(post.actions)).sum()
    loss_gradient = _backward(surrogate, theta_M)
    cotangent = Gaussian(*(torch.zeros_like(part, requires_grad=True) for part in old))
    (pulled_cotangent,) = torch.autograd.grad(old, theta_M, cotangent, create_graph=True)
    return _Chunk(policy, inner_lr, batches, post, inner, theta_M, old, loss_gradient, cotangent, pulled_cotangent)


def _backward(output: Tensor, theta_M: Tensor, cotangent: Tensor | None = None) -> Tensor:
    """(d output / d theta_M)^T cotangent, keeping the graph."""
    return torch.autograd.grad(output, theta_M, cotangent, retain_graph=True)[0]
