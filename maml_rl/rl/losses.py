"""The loss of the inner loop, and its plain gradient by autograd."""

import torch
from torch import Tensor

from maml_rl.models.distributions import Distribution
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.samples import Samples


def policy_gradient_loss(distribution: Distribution, samples: Samples) -> Tensor:
    """L_i = -mean(log pi(a|s) * advantage) over task i's valid steps (Finn et al. 2017, eq. 4).

    distribution: pi(.|s) at every step of the samples. Returns [M]. Only its gradient means anything.
    """
    return -(samples.weights * samples.advantages * distribution.log_prob(samples.actions)).sum(dim=1)


def inner_loss(policy: MlpPolicy, theta_M: Tensor, samples: Samples) -> Tensor:
    """`policy_gradient_loss` of each task's own policy. theta_M: [M, P]. Returns [M]."""
    return policy_gradient_loss(policy.distribution(theta_M, samples.observations), samples)


@torch.enable_grad()
def inner_gradient(policy: MlpPolicy, theta_M: Tensor, samples: Samples, create_graph: bool = False) -> Tensor:
    """grad L_i(theta_i) for every task: [M, P], differentiable in theta_M if `create_graph`.

    theta_M: [M, P], requiring a gradient. No task's loss depends on another task's row.
    """
    return torch.autograd.grad(inner_loss(policy, theta_M, samples).sum(), theta_M, create_graph=create_graph)[0]
