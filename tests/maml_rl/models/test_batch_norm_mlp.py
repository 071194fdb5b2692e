"""The fully connected classifier: its network, its tasks, its initial parameters."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from maml_rl.envs import KeyedGenerator
from maml_rl.models.batch_norm_mlp import BatchNormMlp
from maml_rl.models.model import chosen_parameters
from maml_rl.models.parameters import unflatten

M, N, D = 3, 6, torch.float64
MODEL = BatchNormMlp(4, 10, (7, 5))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def torch_network(theta: torch.Tensor) -> nn.Sequential:
    """The same network of torch's modules, in training mode, its scales 1."""
    parts = {name: part[0] for name, part in unflatten(MODEL.parameter_shapes, theta[None]).items()}
    modules: list[Any] = [nn.Flatten()]
    for layer, (size_in, size_out) in enumerate(pairwise((10, 7, 5))):
        linear, norm = nn.Linear(size_in, size_out, bias=False), nn.BatchNorm1d(size_out, eps=1e-3)
        linear.weight.data, norm.bias.data = parts[f"layer{layer}.weight"].T, parts[f"layer{layer}.shift"]
        modules += [linear, norm, nn.ReLU()]
    last = nn.Linear(5, 4)
    last.weight.data, last.bias.data = parts["output.weight"].T, parts["output.bias"]
    return nn.Sequential(*modules, last).double()


def test_it_is_torch_s_network_for_each_task() -> None:
    theta_M, images = drawn(M, MODEL.num_parameters), drawn(M, N, 1, 2, 5, seed=1)
    distribution = MODEL.at(theta_M)(images)
    for i in range(M):
        torch.testing.assert_close(distribution.logits[i], torch_network(theta_M[i])(images[i]))
        alone = MODEL.at(theta_M[i : i + 1])(images[i : i + 1])
        torch.testing.assert_close(distribution.logits[i], alone.logits[0])


def test_gradients_go_as_the_inverse_of_the_hidden_weights() -> None:
    """If the variances are large, as here, beside what is added to them."""
    theta, images = 100 * drawn(MODEL.num_parameters)[None], drawn(1, N, 10, seed=1)
    hidden = 1 + 2 * chosen_parameters(MODEL, {"layer0.weight", "layer1.weight"}, theta)  # 3 times as large
    gradients = []
    for each in (theta, theta * hidden):
        around = MODEL.derivatives(each, images)
        gradients.append(around.gradient(lambda d: d.logits.square().mean(dim=(1, 2))))
    torch.testing.assert_close(gradients[0], gradients[1] * hidden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("init_std", "std"), [(0.01, 0.0088), (None, (2 / (784 + 256)) ** 0.5)])
def test_initial_parameters(init_std: float | None, std: float) -> None:
    model = BatchNormMlp(5, init_std=init_std)
    theta = model.initial_parameters(KeyedGenerator(1))
    assert (theta.dtype, theta.shape) == (torch.float32, (model.num_parameters,))
    parts = unflatten(model.parameter_shapes, theta[None])
    assert parts["layer0.weight"].std() == pytest.approx(std, rel=0.02)
    assert all((part == 0).all() for name, part in parts.items() if "weight" not in name)
    assert [name for layer in model.layers for name in layer] == list(parts)
    assert set(model.shifts) == {name for name in parts if "shift" in name}
