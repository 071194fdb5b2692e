"""Batch normalisation against its formula, with first and second derivatives."""

import pytest
import torch

from maml_rl.models.batch_norm import batch_normalised

M, N, F = 2, 5, 3


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("places", [(), (4, 2)], ids=["features", "maps"])
def test_is_its_formula(places: tuple[int, ...]) -> None:
    x, shift = 0.1 * drawn(N, M * F, *places, seed=0), drawn(M, F, seed=1)  # variances beside which 0.001 counts
    cotangent, directions = drawn(N, M * F, *places, seed=2), (drawn(N, M * F, *places, seed=3), drawn(M, F, seed=4))
    pooled = (0, *range(2, x.dim()))

    def by_formula(x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(dim=pooled, keepdim=True)
        variance = centred.square().mean(dim=pooled, keepdim=True)
        return centred / (variance + 1e-3).sqrt() + shift.reshape(1, -1, *[1] * len(places))

    results = []
    for function in (batch_normalised, by_formula):
        inputs = x.clone().requires_grad_(), shift.clone().requires_grad_()
        value = function(*inputs)
        first = torch.autograd.grad((value.tanh() * cotangent).sum(), inputs, create_graph=True)
        results.append((value, *first, *torch.autograd.grad(first, inputs, directions)))
    for ours, formula in zip(*results, strict=True):
        torch.testing.assert_close(ours, formula)
