"""The derivatives of networks with batch normalisation, by hand: the formulas.

A block makes of a task's rows x, examples or the windows of their places, the rows h:

    z = x W^T      y = (z - <z>) r,  r = (<(z - <z>)^2> + EPSILON)^(-1/2)      h = max(0, y + s)

<.> is the mean over the rows. A linear map leads on from h to the next block's x. D is the derivative of y by z, its
own transpose; d = dL/dy, e = dL/dz; and R{x} is the derivative of x along a direction (V, c) in (W, s), as in
`maml_rl.models.mlp_derivatives`:

    D g = r (g - <g> - y <y g>)
    R{z} = R{x} W^T + x V^T      R{y} = D R{z}      R{h} = h' (R{y} + c)
    e = D d                      dL/dW = e^T x      dL/dx = e W            dL/ds = sum of d
    R{e} = D R{d} - r (R{y} <y d> + y <R{y} d> + e <y R{z}>)

The linear layer behind the blocks has x, W and s alone, z = x W^T + s. The loss of its logits is left to autograd.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from maml_rl.models.linear_maps import LinearMap
from maml_rl.models.narrow_products import add_product, product

Layers = list[tuple[Tensor, Tensor]]  # W [M, out, in] and s [M, 1, out] of each block and of the linear layer


@dataclass(frozen=True)
class Block:
    """A block at theta_M, with the data of its derivatives."""

    x: Tensor  # [M, R, in]
    weight: Tensor
    r: Tensor  # [M, 1, out]
    y: Tensor  # [M, R, out]
    h: Tensor
    onward: LinearMap

    def normalised_(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """D g, in place of g [M, R, out], and <y g>."""
        along_y = (self.y * g).mean(dim=1, keepdim=True)
        return g.sub_(g.mean(dim=1, keepdim=True)).addcmul_(self.y, along_y, value=-1).mul_(self.r), along_y

    def rectified_(self, g: Tensor) -> Tensor:
        """h' g, in place of g [M, R, out]."""
        return torch.ops.aten.threshold_backward.grad_input(g, self.h, 0, grad_input=g)


class Tangent(NamedTuple):
    """R{.} of a block."""

    x: Tensor | None  # None: the inputs do not move
    along_y: Tensor  # <y R{z}>
    y: Tensor


class Delta(NamedTuple):
    """The derivatives of a loss by a block's rows."""

    by_y: Tensor  # d
    along_y: Tensor  # <y d>
    by_z: Tensor  # e


@dataclass(frozen=True)
class BlockNetwork:
    """The network at theta_M."""

    blocks: list[Block]
    features: Tensor  # x [M, N, in] of the linear layer
    weight: Tensor
    logits: Tensor  # [M, N, ways]

    def tangents(self, direction: Layers) -> tuple[list[Tangent], Tensor, Tensor]:
        """R{.} of each block, R{features} and R{logits}, along a direction in the parameters."""
        tangents: list[Tangent] = []
        r_x = None
        for block, (V, c) in zip(self.blocks, direction[:-1], strict=True):
            r_z = torch.bmm(block.x, V.mT)
            if r_x is not None:
                r_z.baddbmm_(r_x, block.weight.mT)
            r_y, along_y = block.normalised_(r_z)
            tangents.append(Tangent(r_x, along_y, r_y))
            r_x = block.onward.times(block.rectified_(r_y + c))
        assert r_x is not None, "there is a block"
        V, c = direction[-1]
        return tangents, r_x, add_product(c, self.features, V.mT) + product(r_x, self.weight.mT)

    def deltas(self, by_logits: Tensor) -> list[Delta]:
        deltas: list[Delta] = []
        by_x = product(by_logits, self.weight)
        for block in reversed(self.blocks):
            by_y = block.rectified_(block.onward.transposed(by_x).contiguous())
            by_z, along_y = block.normalised_(by_y.clone())
            deltas.append(Delta(by_y, along_y, by_z))
            if block is not self.blocks[0]:
                by_x = torch.bmm(by_z, block.weight)
        return deltas[::-1]

    def gradient(self, by_logits: Tensor, deltas: list[Delta]) -> Layers:
        of_blocks = [
            (torch.bmm(each.by_z.mT, block.x), each.by_y.sum(dim=1, keepdim=True))
            for block, each in zip(self.blocks, deltas, strict=True)
        ]
        return [*of_blocks, (torch.bmm(by_logits.mT, self.features), by_logits.sum(dim=1, keepdim=True))]

    def gradient_tangent(
        self,
        direction: Layers,
        tangents: list[Tangent],
        r_features: Tensor,
        by_logits: Tensor,
        r_by_logits: Tensor,
        deltas: list[Delta],
    ) -> Layers:
        """R{gradient} along a direction."""
        r_weight = torch.bmm(r_by_logits.mT, self.features).baddbmm_(by_logits.mT, r_features)
        layers = [(r_weight, r_by_logits.sum(dim=1, keepdim=True))]
        r_by_x = product(r_by_logits, self.weight) + product(by_logits, direction[-1][0])
        steps = list(zip(self.blocks, direction[:-1], tangents, deltas, strict=True))
        for block, (V, _), tangent, delta in reversed(steps):
            r_by_y = block.rectified_(block.onward.transposed(r_by_x).contiguous())
            r_shift = r_by_y.sum(dim=1, keepdim=True)
            r_by_z, _ = block.normalised_(r_by_y)
            across = (tangent.y * delta.by_y).mean(dim=1, keepdim=True)
            r_by_z.addcmul_(tangent.y, block.r * delta.along_y, value=-1)
            r_by_z.addcmul_(block.y, block.r * across, value=-1)
            r_by_z.addcmul_(delta.by_z, block.r * tangent.along_y, value=-1)
            r_weight = torch.bmm(r_by_z.mT, block.x)
            if tangent.x is not None:
                r_weight.baddbmm_(delta.by_z.mT, tangent.x)
                r_by_x = torch.bmm(r_by_z, block.weight).baddbmm_(delta.by_z, V)
            layers.append((r_weight, r_shift))
        return layers[::-1]
