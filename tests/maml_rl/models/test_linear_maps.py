"""Linear maps: each is its function of torch's, and its transpose is the transpose."""

import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d

from maml_rl.models.linear_maps import LinearMap, averaging, flattening, max_pooling, reshaping, windowing

M, N, H, W, C = 2, 3, 7, 4, 5


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MAPS = drawn(M, N, H, W, C)
PICTURES = MAPS.flatten(0, 1).movedim(3, 1)  # [M N, C, H, W]


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_windows_times_filters_are_a_convolution(stride: int) -> None:
    filters = drawn(6, C, 3, 3, seed=1)
    rows = windowing((N, H, W, C), stride).times(MAPS) @ filters.movedim(1, 3).flatten(1).T
    convolved = conv2d(PICTURES, filters, stride=stride, padding=1)
    torch.testing.assert_close(rows.flatten(0, 1), convolved.movedim(1, 3).flatten(0, 2))


def test_max_pooling_is_torch_s() -> None:
    pooled = max_pooling(MAPS).times(MAPS)
    torch.testing.assert_close(pooled.flatten(0, 1).movedim(3, 1), max_pool2d(PICTURES, 2))


MAPPINGS = {
    "windowing, stride 1": windowing((N, H, W, C), 1),
    "windowing, stride 2": windowing((N, H, W, C), 2),
    "max_pooling": max_pooling(MAPS),
    "averaging": averaging(H, W),
    "flattening": flattening(H, W),
    "several": reshaping((N, H, W, C), (N, W, H, C)).then(windowing((N, W, H, C), 2)),
}


@pytest.mark.parametrize("mapping", MAPPINGS.values(), ids=list(MAPPINGS))
def test_the_transpose_is_the_transpose(mapping: LinearMap) -> None:
    x = drawn(M, N, H, W, C, seed=2)
    forward = mapping.times(x)
    y = drawn(*forward.shape, seed=3)
    backward = mapping.transposed(y)
    assert backward.shape == x.shape
    torch.testing.assert_close((forward * y).sum(), (x * backward).sum())
