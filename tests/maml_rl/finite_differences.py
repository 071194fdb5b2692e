"""Central differences in float64.

A step h leaves a truncation error of O(h^2) and a rounding error of O(eps / h): for first derivatives h = 1e-5 balances
both near 1e-10. For second derivatives the rounding error is O(eps / h^2): h = 1e-4 keeps both near 1e-8.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient(function: Callable[[Tensor], float], x: Tensor, h: float = 1e-5) -> Tensor:
    """Gradient of a scalar function at x [P]."""
    units = torch.eye(x.numel(), dtype=x.dtype)
    return torch.tensor([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in units], dtype=x.dtype)


def hessian(function: Callable[[Tensor], float], x: Tensor, h: float = 1e-4) -> Tensor:
    """Hessian [P, P] of a scalar function at x [P]."""
    return torch.stack(
        [gradient(lambda y, e=e: gradient(function, y, h) @ e, x, h) for e in torch.eye(len(x), dtype=x.dtype)]
    )


def second_derivative(function: Callable[[Tensor], float], x: Tensor, u: Tensor, v: Tensor, h: float = 1e-4) -> float:
    """u^T (Hessian) v of a scalar function at x [P]: four evaluations instead of 4 P^2."""
    corners = (
        function(x + h * (u + v)) - function(x + h * (u - v)) - function(x - h * (u - v)) + function(x - h * (u + v))
    )
    return corners / (4 * h**2)
