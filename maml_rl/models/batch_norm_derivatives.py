"""`maml_rl.models.derivatives` for classifiers with batch normalisation, by hand: `maml_rl.models.normalised_blocks`.

Why by hand: autograd takes the second derivative of a normalisation by some forty operations and keeps their results. A
gradient and a product with the Hessian took it 1.4 times as long (8 tasks of 5 Omniglot pictures, one core). And of
convolutions for all tasks at once, the last bits of a task's gradient depend on the tasks beside it; of these products
they do not, at the published sizes.
"""

from typing import Protocol

import torch
from torch import Tensor

from maml_rl.models.batch_norm import EPSILON
from maml_rl.models.derivatives import Derivatives, DistributionLoss, Product, leaves, pulled
from maml_rl.models.distributions import Categorical, Distribution
from maml_rl.models.linear_maps import LinearMap
from maml_rl.models.narrow_products import add_product
from maml_rl.models.normalised_blocks import Block, BlockNetwork, Delta, Layers


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


def derivatives(model: Network, theta_M: Tensor, inputs: Tensor) -> Derivatives:
    """The model around theta_M [M, P], at inputs [M, N, ...]. One forward pass serves all that is asked of it."""
    network = _run(model, theta_M, inputs)
    latest: list[tuple[Tensor, list[Delta]]] = []

    @torch.no_grad()
    def deltas_of(by_logits: Tensor) -> list[Delta]:
        """Of the same loss they are wanted twice, by its gradient and by its Hessian."""
        for other, deltas in latest:
            if torch.equal(other, by_logits):
                return deltas
        deltas = network.deltas(by_logits)
        latest[:] = [(by_logits, deltas)]
        return deltas

    @torch.no_grad()
    def forward(u_M: Tensor) -> Distribution:
        return Categorical(network.tangents(_layers(model, u_M))[-1])

    @torch.no_grad()
    def backward(cotangent: Distribution) -> Tensor:
        by_logits = cotangent[0]
        return _flat(model, network.gradient(by_logits, deltas_of(by_logits)))

    def hessian(loss: DistributionLoss) -> Product:
        head = leaves(Categorical(network.logits))
        with torch.enable_grad():
            head_gradient = torch.autograd.grad(loss(head).sum(), head, create_graph=True, materialize_grads=True)
        by_logits = head_gradient[0].detach()
        deltas = deltas_of(by_logits)

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
def _run(model: Network, theta_M: Tensor, inputs: Tensor) -> BlockNetwork:
    *layers, (weight, bias) = _layers(model, theta_M)
    x = model.first_rows(inputs)
    blocks: list[Block] = []
    for number, (W, s) in enumerate(layers):
        z = torch.bmm(x, W.mT)
        if z.shape[1] == 1:
            raise ValueError("batch normalisation: got a single number of each feature, allowed: two or more")
        z.sub_(z.mean(dim=1, keepdim=True))
        r = z.square().mean(dim=1, keepdim=True).add_(EPSILON).rsqrt_()
        h = z.mul_(r).add(s).relu_()
        onward = model.onward(number, h, inputs.shape[1])
        blocks.append(Block(x, W, r, z, h, onward))
        x = onward.times(h)
    return BlockNetwork(blocks, x, weight, add_product(bias, x, weight.mT))


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
