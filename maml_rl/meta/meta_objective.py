"""The meta-objective: what the adapted policies are worth as a function of theta, its gradient and its curvature.

With theta_i' = theta - inner_lr * grad L_i(theta) and J_i = d theta_i' / d theta = I - inner_lr * H_i (for K steps the
product of the steps' matrices), and F_i the Fisher matrix of task i's adapted policy at theta_i':

    gradient = mean_i J_i^T grad L_i(theta_i')        F v = mean_i J_i^T F_i J_i v

Both are exact. F_i u takes no second derivative: at theta_i' the Hessian of the KL is the Gauss-Newton matrix
D^T (Fisher information) D, with D the derivative of the distribution's parameters: (mean, log_std), or logits.

F may be estimated on a part of the steps, every n-th of all episodes: neighbouring steps of an episode are alike. The
gradient, the surrogate loss and the KL test see every step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.machine.threads import parallel_map
from maml_rl.meta.inner_loop import adapt
from maml_rl.models.derivatives import PolicyDerivatives, Product
from maml_rl.models.distributions import Distribution
from maml_rl.models.mlp_derivatives import inner_hessian, loss_gradient, policy_derivatives
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.samples import Samples, task_chunks


@dataclass(frozen=True)
class MetaObjective:
    """The surrogate loss around the theta that collected the samples, in the form that a trust-region step takes."""

    loss: float  # the surrogate loss at that theta
    gradient: Tensor  # [P], of the surrogate loss
    fisher_vector_product: Callable[[Tensor], Tensor]  # v [P] -> F v [P]
    evaluate: Callable[[Tensor], tuple[float, float]]  # theta [P] -> surrogate loss, KL(old || new) in nats


def meta_objective(
    policy: MlpPolicy,
    thetas_M: Sequence[Tensor],
    batches: Sequence[Samples],
    post: Samples,
    inner_lr: float,
    curvature_stride: int = 1,
    curvature_first: int = 0,
    all_tasks: int | None = None,
    all_sum: Callable[[Tensor], Tensor] = lambda part: part,
) -> MetaObjective:
    """Linearise the adaptation around theta.

    thetas_M: K + 1 times [M, P], theta before each inner step and after the last, as `adapt` leads from one to the
    next. batches: K sets of samples before adaptation, the k-th collected with the parameters of inner step k. post:
    samples collected with the adapted policies. curvature_stride, curvature_first: the Fisher-vector products are
    computed on steps first, first + stride, ...; with a stride above 1 they are estimates, and nothing else is.
    all_tasks, all_sum: where these are a part of the tasks, how many there are, and the sum of a tensor over all parts.
    The surrogate loss is -mean(importance ratio * advantage), the KL that of the adapted policies, each a mean over a
    task's steps and then over tasks (Finn et al. 2017, section 5.3; Schulman et al. 2015, eq. 14).
    """
    num_tasks = post.weights.shape[0]
    *curved, curved_post = (batch.every(curvature_stride, curvature_first) for batch in (*batches, post))
    # By the first of the tasks: on the curvature's steps; and pi_theta_i' on all.
    kept: dict[int, _Linearisation] = {}
    old: dict[int, Distribution] = {}

    def linearise(tasks: slice, before: Sequence[Samples], after: Samples) -> _Linearisation:
        of_tasks = [batch.tasks(tasks) for batch in before]
        return _linearise(policy, [theta_M[tasks] for theta_M in thetas_M], of_tasks, after.tasks(tasks), inner_lr)

    def mean_over_tasks(function: Callable[[slice], Tensor], samples: Samples = post) -> Tensor:
        """The mean over all tasks of a function that gives some tasks' values [m, ...]: float64.

        In float32 the last bits would depend on how the tasks are divided, and whole runs on them: 7 half-cheetahs
        in 1 and 2 processes differed by 3 % of the parameters' norm after three iterations. In float64 by nothing.
        """
        sums = parallel_map(lambda tasks: function(tasks).sum(dim=0, dtype=torch.float64), task_chunks(samples))
        return all_sum(torch.stack(sums).sum(dim=0)) / (all_tasks or num_tasks)

    def losses_and_gradients(tasks: slice) -> Tensor:
        """The importance ratio is 1 around theta, where its gradient is that of log pi."""
        at = linearise(tasks, batches, post)
        loss = -(at.post.weights * at.post.advantages).sum(dim=1, keepdim=True)
        return torch.cat([loss, at.pull_back(loss_gradient(policy, at.adapted, at.post))], dim=1)

    def fisher_vector_product(v: Tensor) -> Tensor:
        def task_products(tasks: slice) -> Tensor:
            if tasks.start not in kept:
                kept[tasks.start] = linearise(tasks, curved, curved_post)
            at = kept[tasks.start]
            return at.pull_back(at.fisher(at.push_forward(v)))

        return mean_over_tasks(task_products, curved_post).to(v.dtype)

    def evaluate(candidate: Tensor) -> tuple[float, float]:
        def surrogates_and_kls(tasks: slice) -> Tensor:
            start = candidate.expand(num_tasks, -1)[tasks]
            new_M = adapt(policy, start, [batch.tasks(tasks) for batch in batches], inner_lr)
            if tasks.start not in old:
                with torch.no_grad():
                    old[tasks.start] = policy.distribution(thetas_M[-1][tasks], post.observations[tasks])
            return _surrogate_and_kl(policy, old[tasks.start], new_M, post.tasks(tasks))

        loss, kl = mean_over_tasks(surrogates_and_kls).tolist()
        return loss, kl

    loss, gradient = mean_over_tasks(losses_and_gradients).tensor_split([1])
    return MetaObjective(float(loss), gradient.to(thetas_M[0].dtype), fisher_vector_product, evaluate)


@dataclass(frozen=True)
class _Linearisation:
    """The adaptation of m tasks, and their adapted policies, around theta."""

    policy: MlpPolicy
    inner_lr: float
    hessians: list[Product]  # of each inner step
    post: Samples
    adapted: PolicyDerivatives  # of pi_theta_i' on the post-adaptation steps

    def push_forward(self, v: Tensor) -> Tensor:
        """J_i v for every task: [P] -> [m, P]."""
        v_M = v.expand(self.post.weights.shape[0], -1)
        for hessian in self.hessians:
            v_M = v_M - self.inner_lr * hessian(v_M)
        return v_M

    def pull_back(self, u_M: Tensor) -> Tensor:
        """J_i^T u_i for every task: [m, P] -> [m, P]. Each H_i is its own transpose."""
        for hessian in reversed(self.hessians):
            u_M = u_M - self.inner_lr * hessian(u_M)
        return u_M

    def fisher(self, u_M: Tensor) -> Tensor:
        """F_i u_i for every task, F_i the mean over its steps of the Fisher information: [m, P] -> [m, P]."""
        distribution = self.adapted.distribution
        information = distribution.fisher(self.adapted.forward(u_M))  # type: ignore[arg-type] # of the same kind
        weights = self.post.weights[..., None]  # [m, N, 1]
        # What is shared by all of a task's steps gets their sum.
        parts = zip(information, distribution, strict=True)
        return self.adapted.backward(
            self.policy.over_actions(*((weights * i).sum_to_size(of.shape) for i, of in parts))
        )


def _linearise(
    policy: MlpPolicy, thetas_M: Sequence[Tensor], batches: Sequence[Samples], post: Samples, inner_lr: float
) -> _Linearisation:
    """thetas_M: [m, P] before each inner step and after the last."""
    *before, after = thetas_M
    hessians = [inner_hessian(policy, theta_M, batch) for theta_M, batch in zip(before, batches, strict=True)]
    return _Linearisation(policy, inner_lr, hessians, post, policy_derivatives(policy, after, post.observations))


@torch.no_grad()
def _surrogate_and_kl(policy: MlpPolicy, old: Distribution, new_M: Tensor, post: Samples) -> Tensor:
    """Surrogate loss and KL(old || new) of every task [m, 2], for new adapted parameters [m, P]."""
    new = policy.distribution(new_M, post.observations)
    ratio = (new.log_prob(post.actions) - old.log_prob(post.actions)).exp()
    loss = -(post.weights * post.advantages * ratio).sum(dim=1)
    kl = (post.weights * old.kl_to(new)).sum(dim=1)  # type: ignore[arg-type] # of the same kind
    return torch.stack([loss, kl], dim=1)
