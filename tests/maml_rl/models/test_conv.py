"""The convolutional classifier: its network, its tasks, its initial parameters."""

from typing import Any

import pytest
import torch
from torch import nn

from maml_rl.envs import KeyedGenerator
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.derivatives import derivatives
from maml_rl.models.distributions import Categorical
from maml_rl.models.model import chosen_parameters
from maml_rl.models.parameters import unflatten

M, N, D = 3, 6, torch.float64
KINDS = [("stride", "mean"), ("stride", "flat"), ("max_pool", "mean"), ("max_pool", "flat")]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


@pytest.fixture(params=KINDS, ids="-".join)
def model(request) -> ConvClassifier:
    halved_by, features = request.param
    return ConvClassifier(4, (2, 9, 7), filters=5, blocks=2, halved_by=halved_by, features=features)


def torch_network(model: ConvClassifier, theta: torch.Tensor) -> nn.Sequential:
    """The same network of torch's modules, in training mode, its scales 1."""
    parts = {name: part[0] for name, part in unflatten(model.parameter_shapes, theta[None]).items()}
    pooled, channels, modules = model.halved_by == "max_pool", model.image_shape[0], list[Any]()
    for block in range(model.blocks):
        conv = nn.Conv2d(channels, model.filters, 3, stride=1 if pooled else 2, padding=1, bias=False)
        norm = nn.BatchNorm2d(model.filters, eps=1e-3)
        conv.weight.data, norm.bias.data = parts[f"block{block}.weight"], parts[f"block{block}.shift"]
        modules += [conv, norm, nn.ReLU(), *[nn.MaxPool2d(2)] * pooled]
        channels = model.filters
    modules += [nn.AdaptiveAvgPool2d(1)] * (model.features == "mean") + [nn.Flatten()]
    linear = nn.Linear(parts["output.weight"].shape[0], model.ways)
    linear.weight.data, linear.bias.data = parts["output.weight"].T, parts["output.bias"]
    return nn.Sequential(*modules, linear).double()


def test_it_is_torch_s_network_for_each_task(model) -> None:
    theta_M, images = drawn(M, model.num_parameters), drawn(M, N, *model.image_shape, seed=1)
    distribution = model.at(theta_M)(images)
    assert isinstance(distribution, Categorical)
    for i in range(M):
        torch.testing.assert_close(distribution.logits[i], torch_network(model, theta_M[i])(images[i]))


def test_tasks_at_once_are_tasks_one_by_one(model) -> None:
    theta_M, images = drawn(M, model.num_parameters), drawn(M, N, *model.image_shape, seed=1)
    u_M = drawn(M, model.num_parameters, seed=2)

    def loss(distribution) -> torch.Tensor:
        return distribution.log_p()[..., 0].square().mean(dim=1)

    together = model.derivatives(theta_M, images)
    of_all = together.gradient(loss), together.hessian(loss)(u_M), together.forward(u_M)[0]
    for i in range(M):
        own = slice(i, i + 1)
        alone = derivatives(model.at, theta_M[own], images[own])
        of_one = alone.gradient(loss), alone.hessian(loss)(u_M[own]), alone.forward(u_M[own])[0]
        for every, one in zip(of_all, of_one, strict=True):
            torch.testing.assert_close(every[own], one)


def test_published_sizes() -> None:
    """Four blocks of 64 filters leave 64 features of 28 x 28 pixels, or 2 x 2 x 64 (Reptile), or 64 (pooled)."""
    filters = 64 * 9 + 3 * 64 * 64 * 9 + 4 * 64
    assert ConvClassifier(5).num_parameters == filters + 65 * 5
    assert ConvClassifier(20, features="flat").num_parameters == filters + (4 * 64 + 1) * 20
    assert ConvClassifier(20, features="flat", halved_by="max_pool").num_parameters == filters + 65 * 20


def test_layers_name_the_head_and_the_shifts() -> None:
    model = ConvClassifier(4, (1, 8, 8), filters=3, blocks=2)
    assert [name for layer in model.layers for name in layer] == list(model.parameter_shapes)
    assert int(chosen_parameters(model, model.layers[-1], drawn(1)).sum()) == 3 * 4 + 4
    assert int(chosen_parameters(model, model.shifts, drawn(1)).sum()) == 2 * 3


@pytest.mark.parametrize("output_std", [1.0, None])
def test_initial_parameters(output_std: float | None) -> None:
    model = ConvClassifier(20, output_std=output_std)
    theta = model.initial_parameters(KeyedGenerator(1))
    assert (theta.dtype, theta.shape) == (torch.float32, (model.num_parameters,))
    parts = unflatten(model.parameter_shapes, theta[None])
    for name, fan in [("block0.weight", 9 * (1 + 64)), ("block3.weight", 9 * (64 + 64))]:
        assert parts[name].abs().max() == pytest.approx((6 / fan) ** 0.5, rel=0.01)
    expected = output_std or (2 / (64 + 20)) ** 0.5
    assert parts["output.weight"].std() == pytest.approx(expected, rel=0.05)
    assert all((part == 0).all() for name, part in parts.items() if "weight" not in name)
