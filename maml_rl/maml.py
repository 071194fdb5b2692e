"""The meta-objective: what the adapted policies are worth as a function of theta, its gradient and its curvature.

With theta_i' = theta - inner_lr * grad L_i(theta) and J_i = d theta_i' / d theta = I - inner_lr * H_i (for K steps the
product of the steps' matrices), and F_i the Fisher matrix of task i's adapted policy at theta_i':

    gradient = mean_i J_i^T grad L_i(theta_i')        F v = mean_i J_i^T F_i J_i v

Both are exact. F_i u takes no second derivative: at theta_i' the Hessian of the KL is the Gauss-Newton matrix
D^T (Fisher information) D, with D the derivative of the distribution's parameters: (mean, log_std), or logits.

What a product needs of the data (activations, and how the losses depend on them) is kept for as many tasks as fit into
KEPT_BYTES, and computed anew for the others at every product. So memory stays at the rollout data plus a constant. With
40 tasks of 4,000 + 4,000 steps and a 100-100 policy, a product takes 0.50 s with all of it kept, and 0.65 s with none
(2 cores).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.adaptation import adapt
from maml_rl.derivatives import PolicyDerivatives, Product
from maml_rl.mlp_derivatives import inner_hessian, policy_derivatives
from maml_rl.parallel import parallel_map
from maml_rl.policies import MlpPolicy
from maml_rl.samples import Samples, task_chunks

KEPT_BYTES = 800_000_000  # of which the paper's scale, 40 x 20 x 200 and 100-100, takes 0.64 GB


@dataclass(frozen=True)
class MetaObjective:
    """The surrogate loss around the theta that collected the samples, in the form that a trust-region step takes."""

    gradient: Tensor  # [P], of the surrogate loss
    fisher_vector_product: Callable[[Tensor], Tensor]  # v [P] -> F v [P]
    evaluate: Callable[[Tensor], tuple[float, float]]  # theta [P] -> surrogate loss, KL(old || new) in nats


def meta_objective(
    policy: MlpPolicy,
    theta: Tensor,
    batches: Sequence[Samples],
    post: Samples,
    inner_lr: float,
    curvature_fraction: float = 1.0,
    all_tasks: int | None = None,
    all_sum: Callable[[Tensor], Tensor] = lambda part: part,
) -> MetaObjective:
    """Linearise the adaptation around theta.

    theta: [P]. batches: K sets of samples before adaptation, the k-th collected with the parameters of inner step k.
    post: samples collected with the adapted policies. curvature_fraction: the part of each task's steps, from the first
    on, that the Fisher-vector products are computed on; below 1 they are estimates, and nothing else is.
    all_tasks, all_sum: where these are a part of the tasks, how many there are, and the sum of a tensor over all parts.
    The surrogate loss is -mean(importance ratio * advantage), the KL that of the adapted policies, each a mean over a
    task's steps and then over tasks (Finn et al. 2017, section 5.3; Schulman et al. 2015, eq. 14).
    """
    num_tasks = post.weights.shape[0]
    adapted = [theta.expand(num_tasks, -1)]  # theta_M [M, P] before each inner step and after the last
    for batch in batches:
        adapted.append(adapt(policy, adapted[-1], [batch], inner_lr))

    kept: dict[tuple[int, int, float], _Linearisation] = {}  # by tasks and fraction
    last_kept = KEPT_BYTES // _bytes_per_task(policy, [*batches, post], curvature_fraction)

    def linearise(tasks: slice, fraction: float) -> _Linearisation:
        key = (tasks.start, tasks.stop, fraction)
        if key in kept:
            return kept[key]
        before = [batch.tasks(tasks).first_steps(fraction) for batch in batches]
        after = post.tasks(tasks).first_steps(fraction)
        made = _linearise(policy, [theta_M[tasks] for theta_M in adapted], before, after, inner_lr)
        if tasks.stop <= last_kept and fraction == curvature_fraction:
            kept[key] = made
        return made

    def mean_over_tasks(function: Callable[[slice], Tensor]) -> Tensor:
        """The mean over all tasks of a function that gives some tasks' values [m, ...]: float64.

        In float32 the last bits would depend on how the tasks are divided, and whole runs on them: 7 half-cheetahs
        in 1 and 2 processes differed by 3 % of the parameters' norm after three iterations. In float64 by nothing.
        """
        sums = parallel_map(lambda tasks: function(tasks).sum(dim=0, dtype=torch.float64), task_chunks(post))
        return all_sum(torch.stack(sums).sum(dim=0)) / (all_tasks or num_tasks)

    def task_gradients(tasks: slice) -> Tensor:
        at = linearise(tasks, 1.0)
        return at.pull_back(at.loss_gradient())

    def fisher_vector_product(v: Tensor) -> Tensor:
        def task_products(tasks: slice) -> Tensor:
            at = linearise(tasks, curvature_fraction)
            return at.pull_back(at.fisher(at.push_forward(v)))

        return mean_over_tasks(task_products).to(v.dtype)

    def evaluate(candidate: Tensor) -> tuple[float, float]:
        def surrogates_and_kls(tasks: slice) -> Tensor:
            start = candidate.expand(num_tasks, -1)[tasks]
            new_M = adapt(policy, start, [batch.tasks(tasks) for batch in batches], inner_lr)
            return _surrogate_and_kl(policy, adapted[-1][tasks], new_M, post.tasks(tasks))

        loss, kl = mean_over_tasks(surrogates_and_kls).tolist()
        return loss, kl

    return MetaObjective(mean_over_tasks(task_gradients).to(theta.dtype), fisher_vector_product, evaluate)


def _bytes_per_task(policy: MlpPolicy, batches: Sequence[Samples], fraction: float) -> int:
    """What one task's linearisation holds: of each hidden unit and step its output and delta."""
    steps = sum(batch.weights.shape[1] for batch in batches)
    values = 2 * fraction * steps * (sum(policy.hidden_sizes) + policy.action_size)
    return max(1, round(values)) * batches[-1].weights.element_size()


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

    def loss_gradient(self) -> Tensor:
        """grad L_i(theta_i') for every task: [m, P]. At the old policy the importance ratio is 1."""
        old = self.policy.over_actions(*(part.clone().requires_grad_() for part in self.adapted.distribution))
        surrogate = -(self.post.weights * self.post.advantages * old.log_prob(self.post.actions)).sum()
        return self.adapted.backward(self.policy.over_actions(*torch.autograd.grad(surrogate, old)))

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
def _surrogate_and_kl(policy: MlpPolicy, old_M: Tensor, new_M: Tensor, post: Samples) -> Tensor:
    """Surrogate loss and KL(old || new) of every task [m, 2], for adapted parameters [m, P]."""
    old, new = (policy.distribution(theta_M, post.observations) for theta_M in (old_M, new_M))
    ratio = (new.log_prob(post.actions) - old.log_prob(post.actions)).exp()
    loss = -(post.weights * post.advantages * ratio).sum(dim=1)
    kl = (post.weights * old.kl_to(new)).sum(dim=1)  # type: ignore[arg-type] # of the same kind
    return torch.stack([loss, kl], dim=1)
