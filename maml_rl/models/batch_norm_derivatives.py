"""`maml_rl.models.derivatives` for classifiers with batch normalisation, by hand.

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

Why by hand: autograd takes the second derivative of a normalisation by some forty operations and keeps their results. A
gradient and a product with the Hessian took it 1.4 times as long (8 tasks of 5 Omniglot pictures, one core). And of
convolutions for all tasks at once, the last bits of a task's gradient depend on the tasks beside it; of these products
they do not, at the published sizes.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from maml_rl.models.batch_norm import EPSILON
from maml_rl.models.derivatives import Derivatives, DistributionLoss, Product, leaves, pulled
from maml_rl.models.distributions import Categorical, Distribution
from maml_rl.models.linear_maps import LinearMap
from maml_rl.models.narrow_products import add_product, product

Layers = list[tuple[Tensor, Tensor]]  # W [M, out, in] and s [M, 1, out] of each block and of the linear layer


class Network(Protocol):
    """The members of a model that the derivatives use."""

    @property
    def num_parameters(self) -> int: ...
    def layers_of(self, theta_M: Tensor) -> Layers:
        """Views of the parameters in theta_M [M, P], or in a tangent of it. A row of W may have several dimensions."""
        ...

    def first_rows(self, inputs: Tensor) -> Tensor:
        """x [M, R, in] of the first block, at inputs [M, N, ...]."""
        ...

    def onward(self, block: int, h: Tensor, num_inputs: int) -> LinearMap:
        """The map from a block's rows to the next one's, around h [M, R, out] of N inputs."""
        ...


@dataclass(frozen=True)
class _Block:
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


class _Tangent(NamedTuple):
    """R{.} of a block."""

    x: Tensor | None  # None: the inputs do not move
    along_y: Tensor  # <y R{z}>
    y: Tensor


class _Delta(NamedTuple):
    """The derivatives of a loss by a block's rows."""

    by_y: Tensor  # d
    along_y: Tensor  # <y d>
    by_z: Tensor  # e


@dataclass(frozen=True)
class _Network:
    """The network at theta_M."""

    blocks: list[_Block]
    features: Tensor  # x [M, N, in] of the linear layer
    weight: Tensor
    logits: Tensor  # [M, N, ways]

    def tangents(self, direction: Layers) -> tuple[list[_Tangent], Tensor, Tensor]:
        """R{.} of each block, R{features} and R{logits}, along a direction in the parameters."""
        tangents: list[_Tangent] = []
        r_x = None
        for block, (V, c) in zip(self.blocks, direction[:-1], strict=True):
            r_z = torch.bmm(block.x, V.mT)
            if r_x is not None:
                r_z.baddbmm_(r_x, block.weight.mT)
            r_y, along_y = block.normalised_(r_z)
            tangents.append(_Tangent(r_x, along_y, r_y))
            r_x = block.onward.times(block.rectified_(r_y + c))
        assert r_x is not None, "there is a block"
        V, c = direction[-1]
        return tangents, r_x, add_product(c, self.features, V.mT) + product(r_x, self.weight.mT)

    def deltas(self, by_logits: Tensor) -> list[_Delta]:
        deltas: list[_Delta] = []
        by_x = product(by_logits, self.weight)
        for block in reversed(self.blocks):
            by_y = block.rectified_(block.onward.transposed(by_x).contiguous())
            by_z, along_y = block.normalised_(by_y.clone())
            deltas.append(_Delta(by_y, along_y, by_z))
            if block is not self.blocks[0]:
                by_x = torch.bmm(by_z, block.weight)
        return deltas[::-1]

    def gradient(self, by_logits: Tensor, deltas: list[_Delta]) -> Layers:
        of_blocks = [
            (torch.bmm(each.by_z.mT, block.x), each.by_y.sum(dim=1, keepdim=True))
            for block, each in zip(self.blocks, deltas, strict=True)
        ]
        return [*of_blocks, (torch.bmm(by_logits.mT, self.features), by_logits.sum(dim=1, keepdim=True))]

    def gradient_tangent(
        self,
        direction: Layers,
        tangents: list[_Tangent],
        r_features: Tensor,
        by_logits: Tensor,
        r_by_logits: Tensor,
        deltas: list[_Delta],
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


def derivatives(model: Network, theta_M: Tensor, inputs: Tensor) -> Derivatives:
    """The model around theta_M [M, P], at inputs [M, N, ...]. One forward pass serves all that is asked of it."""
    network = _run(model, theta_M, inputs)

    @torch.no_grad()
    def forward(u_M: Tensor) -> Distribution:
        return Categorical(network.tangents(_layers(model, u_M))[-1])

    @torch.no_grad()
    def backward(cotangent: Distribution) -> Tensor:
        by_logits = cotangent[0]
        return _flat(model, network.gradient(by_logits, network.deltas(by_logits)))

    def hessian(loss: DistributionLoss) -> Product:
        head = leaves(Categorical(network.logits))
        with torch.enable_grad():
            head_gradient = torch.autograd.grad(loss(head).sum(), head, create_graph=True, materialize_grads=True)
        by_logits = head_gradient[0].detach()
        with torch.no_grad():
            deltas = network.deltas(by_logits)

        @torch.no_grad()
        def times(v_M: Tensor) -> Tensor:
            direction = _layers(model, v_M)
            tangents, r_features, r_logits = network.tangents(direction)
            (r_by_logits,) = pulled(head_gradient, head, (r_logits,))
            r_gradient = network.gradient_tangent(direction, tangents, r_features, by_logits, r_by_logits, deltas)
            return _flat(model, r_gradient)

        return times

    return Derivatives(Categorical(network.logits), forward, backward, hessian)


@torch.no_grad()
def _run(model: Network, theta_M: Tensor, inputs: Tensor) -> _Network:
    *layers, (weight, bias) = _layers(model, theta_M)
    x = model.first_rows(inputs)
    blocks: list[_Block] = []
    for number, (W, s) in enumerate(layers):
        z = torch.bmm(x, W.mT)
        if z.shape[1] == 1:
            raise ValueError("batch normalisation: got a single number of each feature, allowed: two or more")
        z.sub_(z.mean(dim=1, keepdim=True))
        r = z.square().mean(dim=1, keepdim=True).add_(EPSILON).rsqrt_()
        h = z.mul_(r).add(s).relu_()
        onward = model.onward(number, h, inputs.shape[1])
        blocks.append(_Block(x, W, r, z, h, onward))
        x = onward.times(h)
    return _Network(blocks, x, weight, add_product(bias, x, weight.mT))


def _layers(model: Network, theta_M: Tensor) -> Layers:
    num_tasks = len(theta_M)
    if (
        theta_M.stride(0) == 0
    ):  # one theta for all tasks, as before the first inner step: its weights stay in the caches
        theta_M = theta_M[:1]
    layers = [(W.flatten(2), s) for W, s in model.layers_of(theta_M.detach())]
    return [(W.expand(num_tasks, -1, -1), s.expand(num_tasks, -1, -1)) for W, s in layers]


def _flat(model: Network, layers: Layers) -> Tensor:
    """The inverse: [M, P]."""
    theta_M = layers[0][0].new_empty(len(layers[0][0]), model.num_parameters)
    for of_theta, of_layers in zip(model.layers_of(theta_M), layers, strict=True):
        for part, values in zip(of_theta, of_layers, strict=True):
            part.copy_(values.view_as(part))
    return theta_M
