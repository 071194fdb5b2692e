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

from maml_rl.adaptation import adapt
from maml_rl.derivatives import InnerDerivatives, PolicyDerivatives
from maml_rl.mlp_derivatives import inner_derivatives, policy_derivatives
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

    gradient = mean_over_tasks(lambda chunk: chunk.pull_back(chunk.loss_gradient()))
    return MetaObjective(gradient, fisher_vector_product, evaluate)


@dataclass(frozen=True)
class _Chunk:
    """m of the tasks, linearised at theta."""

    policy: GaussianMlpPolicy
    inner_lr: float
    batches: Sequence[Samples]  # before adaptation
    post: Samples
    inner: list[InnerDerivatives]  # of each inner step
    adapted: PolicyDerivatives  # of pi_theta_i' on the post-adaptation steps

    def push_forward(self, v: Tensor) -> Tensor:
        """J_i v for every task: [P] -> [m, P]."""
        v_M = v.expand(self.post.weights.shape[0], -1)
        for step in self.inner:
            v_M = v_M - self.inner_lr * step.hessian(v_M)
        return v_M

    def pull_back(self, u_M: Tensor) -> Tensor:
        """J_i^T u_i for every task: [m, P] -> [m, P]. Each H_i is its own transpose."""
        for step in reversed(self.inner):
            u_M = u_M - self.inner_lr * step.hessian(u_M)
        return u_M

    def loss_gradient(self) -> Tensor:
        """grad L_i(theta_i') for every task: [m, P]. At the old policy the importance ratio is 1."""
        old = Gaussian(*(part.clone().requires_grad_() for part in self.adapted.distribution))
        surrogate = -(self.post.weights * self.post.advantages * old.log_prob(self.post.actions)).sum()
        return self.adapted.backward(Gaussian(*torch.autograd.grad(surrogate, old)))

    def fisher(self, u_M: Tensor) -> Tensor:
        """F_i u_i for every task, F_i the mean over its steps of the Fisher information: [m, P] -> [m, P]."""
        information = self.adapted.distribution.fisher(self.adapted.forward(u_M))
        weights = self.post.weights[..., None]  # [m, N, 1]
        # One log_std serves all of a task's steps, and its tangent is the same at each.
        log_std = weights.sum(dim=1, keepdim=True) * information.log_std
        return self.adapted.backward(Gaussian(weights * information.mean, log_std))

    @torch.no_grad()
    def surrogate_and_kl(self, theta: Tensor) -> Tensor:
        """Surrogate loss and KL(old || new) of every task [m, 2], after adapting theta [P] anew."""
        old, post = self.adapted.distribution, self.post
        theta_M = adapt(self.policy, theta.expand(post.weights.shape[0], -1), self.batches, self.inner_lr)
        new = self.policy.distribution(theta_M, post.observations)
        ratio = (new.log_prob(post.actions) - old.log_prob(post.actions)).exp()
        loss = -(post.weights * post.advantages * ratio).sum(dim=1)
        kl = (post.weights * old.kl_to(new)).sum(dim=1)
        return torch.stack([loss, kl], dim=1)


def _linearise(
    policy: GaussianMlpPolicy, theta: Tensor, batches: Sequence[Samples], post: Samples, inner_lr: float
) -> _Chunk:
    theta_M = theta.expand(post.weights.shape[0], -1)
    inner: list[InnerDerivatives] = []
    for batch in batches:
        inner.append(inner_derivatives(policy, theta_M, batch))
        theta_M = theta_M - inner_lr * inner[-1].gradient
    return _Chunk(policy, inner_lr, batches, post, inner, policy_derivatives(policy, theta_M, post.observations))
