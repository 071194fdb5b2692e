"""Observations of the size that a network likes."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """(o - mean) / std, with fixed numbers for each component of an observation: tuples [O]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, observations: Tensor) -> Tensor:
        """observations: [..., O]."""
        mean, std = (torch.tensor(part).to(observations) for part in (self.mean, self.std))
        return (observations - mean) / std
