"""A policy's first derivatives, kept so that they can be multiplied with: the plain form, by autograd, for any policy.

`maml_rl.models.mlp_derivatives` has the same two functions for multi-layer perceptrons, by hand and in less memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.models.distributions import Distribution
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import inner_gradient
from maml_rl.rl.samples import Samples

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PolicyDerivatives:
    """Of the distribution's parameters by theta_M: D_i = d (mean, log_std) / d theta_i, or d logits / d theta_i."""

    distribution: Distribution  # pi(.|s) at every step
    forward: Callable[[Tensor], Distribution]  # u_M [M, P] -> D_i u_i
    backward: Callable[[Distribution], Tensor]  # w -> D_i^T w_i [M, P]


def inner_hessian(policy: MlpPolicy, theta_M: Tensor, samples: Samples) -> Product:
    """v_M [M, P] -> H_i v_i [M, P], with H_i the Hessian of the inner loss L_i at theta_M [M, P].

    A product is one backward pass through the graph of the gradient.
    """
    theta_M = theta_M.detach().requires_grad_()
    gradient = inner_gradient(policy, theta_M, samples, create_graph=True)
    return lambda v_M: torch.autograd.grad(gradient, theta_M, v_M, retain_graph=True)[0]


def policy_derivatives(policy: MlpPolicy, theta_M: Tensor, observations: Tensor) -> PolicyDerivatives:
    """D^T w is a backward pass, and D u one through the graph of w -> D^T w.

    theta_M: [M, P]. observations: [M, N, O].
    """
    theta_M = theta_M.detach().requires_grad_()
    distribution = policy.distribution(theta_M, observations)
    w = policy.over_actions(*(torch.zeros_like(part, requires_grad=True) for part in distribution))
    (pulled_w,) = torch.autograd.grad(distribution, theta_M, w, create_graph=True)
    return PolicyDerivatives(
        policy.over_actions(*(part.detach() for part in distribution)),
        lambda u_M: policy.over_actions(*torch.autograd.grad(pulled_w, w, u_M, retain_graph=True)),
        lambda cotangent: torch.autograd.grad(distribution, theta_M, cotangent, retain_graph=True)[0],
    )
