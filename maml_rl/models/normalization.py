"""Observations of the size that a network likes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """(o - mean) / std, with fixed numbers for each component of an observation: tuples [O]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def like(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The function of observations [..., O] of x's type, on its device."""
        mean, std = (torch.tensor(part, dtype=x.dtype, device=x.device) for part in (self.mean, self.std))
        return lambda observations: (observations - mean) / std
