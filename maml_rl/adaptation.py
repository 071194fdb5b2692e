"""The inner loop: policy-gradient steps from theta to one adapted policy per task. Everything that adapts uses it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maml_rl.parallel import parallel_map
from maml_rl.policies import MlpPolicy
from maml_rl.samples import Samples, task_chunks


def inner_loss(policy: MlpPolicy, theta_M: Tensor, samples: Samples) -> Tensor:
    """L_i(theta) = -mean(log pi_theta(a|s) * advantage) over task i's valid steps (Finn et al. 2017, eq. 4).

    theta_M: [M, P]. Returns [M]. Only its gradient means anything.
    """
    log_prob = policy.distribution(theta_M, samples.observations).log_prob(samples.actions)
    return -(samples.weights * samples.advantages * log_prob).sum(dim=1)


@torch.enable_grad()
def inner_gradient(policy: MlpPolicy, theta_M: Tensor, samples: Samples, create_graph: bool = False) -> Tensor:
    """grad L_i(theta_i) for every task: [M, P], differentiable in theta_M if `create_graph`.

    theta_M: [M, P], requiring a gradient. No task's loss depends on another task's row.
    """
    return torch.autograd.grad(inner_loss(policy, theta_M, samples).sum(), theta_M, create_graph=create_graph)[0]


def adapt(policy: MlpPolicy, theta_M: Tensor, batches: Sequence[Samples], inner_lr: float) -> Tensor:
    """theta_i' = theta_i - inner_lr * grad L_i(theta_i), once for each batch in turn (Finn et al. 2017, algorithm 3).

    theta_M: [M, P]. batches: K sets of samples, the k-th collected with the parameters of step k. Returns [M, P],
    detached.
    """
    if not batches:
        return theta_M.detach()

    def adapt_tasks(chunk: slice) -> Tensor:
        theta_c = theta_M[chunk]
        for batch in batches:
            theta_c = theta_c.detach().requires_grad_()
            theta_c = theta_c - inner_lr * inner_gradient(policy, theta_c, batch.tasks(chunk))
        return theta_c.detach()

    return torch.cat(parallel_map(adapt_tasks, task_chunks(batches[0])))
