"""Large inputs made small, without statistics of them."""

from torch import Tensor


def symlog(x: Tensor) -> Tensor:
    """sign(x) log(1 + |x|), elementwise (Hafner et al. 2023, "DreamerV3", eq. 9): about x near 0, and 2.4 at 10."""
    return x.sign() * x.abs().log1p()
