"""A trust-region step (Schulman et al. 2015): conjugate gradient, then a line search, on vectors and closures."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Step:
    """The outcome of a step. A rejected line search is an outcome too: `theta` is then where it was."""

    theta: Tensor  # [P]
    loss: float  # at theta
    kl: float  # nats, from the start of the step to theta
    accepted: bool
    backtracks: int  # line-search candidates that were turned down


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], b: Tensor, iterations: int, tolerance: float = 1e-20
) -> tuple[Tensor, Tensor]:
    """x with A x = b, for a symmetric positive definite A given by its product (Nocedal & Wright 2006, algorithm 5.2).

    b: [P]. Stops after `iterations` products, or once |b - A x|^2 <= tolerance * |b|^2. Returns x [P] and A x [P].
    """
    x, A_x, residual, direction = torch.zeros_like(b), torch.zeros_like(b), b, b
    square = float(b @ b)
    smallest = tolerance * square
    for _ in range(iterations):
        if square <= smallest:
            break
        A_direction = product(direction)
        curvature = float(direction @ A_direction)
        if not curvature > 0:  # not positive definite, to the machine's precision
            break
        alpha = square / curvature
        x, A_x = x + alpha * direction, A_x + alpha * A_direction
        residual = b - A_x
        square, previous = float(residual @ residual), square
        direction = residual + (square / previous) * direction
    return x, A_x


def trust_region_step(
    theta: Tensor,
    loss: float,
    gradient: Tensor,
    fisher_vector_product: Callable[[Tensor], Tensor],
    evaluate: Callable[[Tensor], tuple[float, float]],
    *,
    max_kl: float,
    cg_iterations: int,
    cg_damping: float,
    max_backtracks: int,
    backtrack_ratio: float,
) -> Step:
    """Minimise a loss within KL <= max_kl, along the natural gradient (Schulman et al. 2015, appendix C).

    theta: [P]. loss, gradient [P]: at theta. fisher_vector_product: v -> F v, F the Hessian of the KL at
    theta. evaluate: theta -> (loss, KL from the start, nats). The first candidate is where the quadratic model of the
    KL reaches max_kl; each of the `max_backtracks` candidates is `backtrack_ratio` times the one before. The first that
    improves the loss and keeps KL <= max_kl is taken.
    """

    def damped(v: Tensor) -> Tensor:
        return fisher_vector_product(v) + cg_damping * v

    direction, damped_direction = conjugate_gradient(damped, gradient, cg_iterations)
    curvature = float(direction @ damped_direction)
    backtracks = 0
    if curvature > 0:  # false for a zero gradient, and for NaN
        full_step = (2 * max_kl / curvature) ** 0.5 * direction
        for backtracks in range(max_backtracks):
            candidate = theta - backtrack_ratio**backtracks * full_step
            candidate_loss, kl = evaluate(candidate)
            if candidate_loss < loss and kl <= max_kl:
                return Step(candidate, candidate_loss, kl, accepted=True, backtracks=backtracks)
        backtracks = max_backtracks
    return Step(theta, loss, 0.0, accepted=False, backtracks=backtracks)
