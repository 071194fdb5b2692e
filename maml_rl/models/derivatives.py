"""A model's derivatives by its parameters, kept so that they can be multiplied with.

`derivatives` is the plain form, by autograd, for any model. `maml_rl.models.mlp_derivatives` has the same for
multi-layer perceptrons, by hand and in less memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from maml_rl.models.distributions import Distribution, with_parts

At = Callable[[Tensor], Callable[[Tensor], Distribution]]  # theta_M -> inputs -> distributions, as of a `Model`
Product = Callable[[Tensor], Tensor]  # v_M [M, P] -> [M, P]
DistributionLoss = Callable[[Distribution], Tensor]  # of the distributions at all inputs -> [M]


@dataclass(frozen=True)
class Derivatives:
    """Products with the derivatives D_i of a model at theta_M [M, P], whose row i is theta_i; no D_i is stored.

    D_i = d (mean, log_std) / d theta_i, or d logits / d theta_i, at all inputs of task i.
    """

    distribution: Distribution  # at every input, detached
    forward: Callable[[Tensor], Distribution]  # u_M [M, P] -> D_i u_i
    backward: Callable[[Distribution], Tensor]  # w -> D_i^T w_i [M, P]
    hessian: Callable[[DistributionLoss], Product]  # of a loss [M]: its product with H_i, the Hessian by theta_i

    def gradient(self, loss: DistributionLoss) -> Tensor:
        """The gradient [M, P] of a loss [M] by theta_M."""
        head = leaves(self.distribution)
        with torch.enable_grad():
            total = loss(head).sum()
        return self.backward(with_parts(head, torch.autograd.grad(total, head, materialize_grads=True)))


def leaves(distribution: Distribution) -> Distribution:
    """The same distributions, with parameters that collect gradients of their own."""
    return with_parts(distribution, [part.detach().clone().requires_grad_() for part in distribution])


def pulled(outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> Sequence[Tensor]:
    """The gradient by `inputs` of the outputs times their cotangents. Outputs may be constant; the graph is kept."""
    moving = [
        (output, cotangent) for output, cotangent in zip(outputs, cotangents, strict=True) if output.requires_grad
    ]
    if not moving:
        return [torch.zeros_like(each) for each in inputs]
    varying, weights = zip(*moving, strict=True)
    return torch.autograd.grad(varying, inputs, weights, retain_graph=True, materialize_grads=True)


@torch.enable_grad()
def derivatives(
    at: Callable[[Tensor], Callable[[Tensor], Distribution]], theta_M: Tensor, inputs: Tensor
) -> Derivatives:
    """`Derivatives` by autograd. D^T w is a backward pass, and D u one through the graph of w -> D^T w.

    theta_M: [M, P]. inputs: [M, N, ...].
    """
    theta_M = theta_M.detach().requires_grad_()
    distribution = at(theta_M)(inputs)

    # At the first D u: who asks for gradients and Hessians alone does not pay for it. Threads that ask at once may each
    # make a graph of their own, and all are right.
    @cache
    def transposed() -> tuple[Distribution, Tensor]:
        """w, and D^T w as a function of it."""
        w = with_parts(distribution, [torch.zeros_like(part, requires_grad=True) for part in distribution])
        return w, torch.autograd.grad(distribution, theta_M, w, create_graph=True)[0]

    def forward(u_M: Tensor) -> Distribution:
        w, pulled_w = transposed()
        return with_parts(distribution, torch.autograd.grad(pulled_w, w, u_M, retain_graph=True))

    @torch.enable_grad()
    def hessian(loss: DistributionLoss) -> Product:
        gradient = torch.autograd.grad(loss(distribution).sum(), theta_M, create_graph=True)
        return lambda v_M: pulled(gradient, (theta_M,), (v_M,))[0]

    return Derivatives(
        with_parts(distribution, [part.detach() for part in distribution]),
        forward,
        lambda cotangent: torch.autograd.grad(distribution, theta_M, cotangent, retain_graph=True)[0],
        hessian,
    )
