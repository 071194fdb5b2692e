"""Linear maps with their transposes: from the maps of a convolution to what comes next."""

from collections.abc import Callable
from typing import NamedTuple, Self

from torch import Tensor
from torch.nn.functional import max_pool2d, max_unpool2d, pad

SIDE = 3  # of a convolution's windows


class LinearMap(NamedTuple):
    """A linear map of tensors."""

    times: Callable[[Tensor], Tensor]
    transposed: Callable[[Tensor], Tensor]

    def then(self, other: Self) -> "LinearMap":
        """The other map of this one's result."""
        return LinearMap(lambda x: other.times(self.times(x)), lambda y: self.transposed(other.transposed(y)))


def identity() -> LinearMap:
    return LinearMap(lambda x: x, lambda y: y)


def reshaping(shape_in: tuple[int, ...], shape_out: tuple[int, ...]) -> LinearMap:
    """[M, *shape_in] -> [M, *shape_out]."""
    return LinearMap(lambda x: x.reshape(len(x), *shape_out), lambda y: y.reshape(len(y), *shape_in))


def averaging(height: int, width: int) -> LinearMap:
    """The mean over places: [M, N, H, W, C] -> [M, N, C]."""
    return LinearMap(
        lambda x: x.mean(dim=(2, 3)),
        lambda y: (y / (height * width))[:, :, None, None].expand(-1, -1, height, width, -1),
    )


def flattening(height: int, width: int) -> LinearMap:
    """All places, as PyTorch orders them: [M, N, H, W, C] -> [M, N, C H W]."""
    return LinearMap(lambda x: x.movedim(4, 2).flatten(2), lambda y: y.unflatten(2, (-1, height, width)).movedim(2, 4))


def max_pooling(maps: Tensor) -> LinearMap:
    """Each 2 x 2 places' largest number, around the maps [M, N, H, W, C] that tell which it is."""
    M, N, H, W, _ = maps.shape

    def as_pictures(x: Tensor) -> Tensor:
        return x.flatten(0, 1).movedim(3, 1)  # [M N, C, H, W]

    def as_maps(x: Tensor) -> Tensor:
        return x.movedim(1, 3).unflatten(0, (M, N))

    _, places = max_pool2d(as_pictures(maps), 2, return_indices=True)
    return LinearMap(
        lambda x: as_maps(as_pictures(x).flatten(2).gather(2, places.flatten(2)).view_as(places)),
        lambda y: as_maps(max_unpool2d(as_pictures(y), places, [2, 2], output_size=[H, W])),
    )


def windowing(shape: tuple[int, int, int, int], stride: int) -> LinearMap:
    """The 3 x 3 windows of maps with a margin of zeros, as rows: [M, N, H, W, C] -> [M, N h w, 9 C].

    h = H / stride, rounded up, and w likewise. A row has the nine places of its window one after another, so that its
    product with a filter is the convolution. shape: (N, H, W, C).
    """
    N, H, W, C = shape
    h, w = ((side + stride - 1) // stride for side in (H, W))

    def times(x: Tensor) -> Tensor:
        padded = pad(x, (0, 0, 1, 1, 1, 1)).contiguous()
        of_M, of_N, of_H, of_W, _ = padded.stride()
        # The places of one line of a window stand side by side.
        lines = (len(x), N, h, w, SIDE, SIDE * C), (of_M, of_N, stride * of_H, stride * of_W, of_H, 1)
        return padded.as_strided(*lines).reshape(len(x), N * h * w, SIDE * SIDE * C)

    def transposed(y: Tensor) -> Tensor:
        """Each place's sum over the windows that it is in."""
        places = y.view(len(y), N, h, w, SIDE, SIDE, C)
        # By blocks of stride x stride places: windows begin at each of them, and are up to 1 + `more` blocks long.
        more = (SIDE - 1) // stride
        blocks = y.new_zeros(len(y), N, h + more, stride, w + more, stride, C)
        for i in range(0, SIDE, stride):
            for j in range(0, SIDE, stride):
                part = places[:, :, :, :, i : i + stride, j : j + stride].transpose(3, 4)
                top, left = i // stride, j // stride
                blocks[:, :, top : top + h, : part.shape[3], left : left + w, : part.shape[5]] += part
        return blocks.flatten(4, 5).flatten(2, 3)[:, :, 1 : H + 1, 1 : W + 1]

    return LinearMap(times, transposed)
