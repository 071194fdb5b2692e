"""Batched matrix products that stay fast if the result is narrow, as that of a policy's last layer.

With 4,000 rows and 100 columns times 6, MKL computes A B in 0.36 ms, and the same numbers as (B^T A^T)^T in 0.10 ms
(one core, float32); with as many columns on both sides the two agree.
"""

import torch
from torch import Tensor

NARROW = 16  # columns


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b: [M, n, m] times [M, m, k]."""
    return torch.bmm(b.mT, a.mT).mT if b.shape[-1] <= NARROW else torch.bmm(a, b)


def add_product(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """c + a b: [M, n, k] or a shape that broadcasts to it, [M, n, m] and [M, m, k]."""
    return torch.baddbmm(c.mT, b.mT, a.mT).mT if b.shape[-1] <= NARROW else torch.baddbmm(c, a, b)


def add_product_(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`add_product`, in place of c."""
    if b.shape[-1] <= NARROW:
        c.mT.baddbmm_(b.mT, a.mT)
        return c
    return c.baddbmm_(a, b)
