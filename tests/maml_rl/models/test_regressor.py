"""The regressor: its network, its derivatives, its initial parameters."""

import pytest
import torch
from torch import nn

from maml_rl.envs import KeyedGenerator
from maml_rl.models.derivatives import derivatives
from maml_rl.models.distributions import Point
from maml_rl.models.regressor import MlpRegressor

M, N, D = 3, 11, torch.float64


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def test_it_is_torch_s_layers_for_each_task() -> None:
    model = MlpRegressor(2, 3, (5, 4))
    theta_M, inputs = drawn(M, model.num_parameters), drawn(M, N, 2, seed=1)
    predictions = model.at(theta_M)(inputs)
    for i in range(M):
        layers = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).double()
        parts = {name: part[0] for name, part in model.unflatten(theta_M[i : i + 1]).items()}
        for layer, own in zip(layers[::2], model.layers, strict=True):
            layer.weight.data, layer.bias.data = parts[own[0]].T, parts[own[1]]
        torch.testing.assert_close(predictions.mean[i], layers(inputs[i]))
        alone = model.at(theta_M[i : i + 1])(inputs[i : i + 1])
        torch.testing.assert_close(predictions.mean[i], alone.mean[0])


@pytest.mark.parametrize("context_size", [0, 2])
def test_derivatives_by_hand_are_those_by_autograd(context_size: int) -> None:
    model = MlpRegressor(2, 3, (5, 4), "tanh", context_size=context_size)
    theta_M, inputs, targets = drawn(M, model.num_parameters), drawn(M, N, 2, seed=1), drawn(M, N, 3, seed=2)
    by_hand, plain = model.derivatives(theta_M, inputs), derivatives(model.at, theta_M, inputs)

    def loss(distribution) -> torch.Tensor:
        return -distribution.log_prob(targets).mean(dim=1)

    u_M, w = drawn(M, model.num_parameters, seed=3), Point(drawn(M, N, 3, seed=4))
    torch.testing.assert_close(by_hand.distribution, plain.distribution)
    torch.testing.assert_close(by_hand.gradient(loss), plain.gradient(loss))
    torch.testing.assert_close(by_hand.hessian(loss)(u_M), plain.hessian(loss)(u_M))
    torch.testing.assert_close(by_hand.forward(u_M), plain.forward(u_M))
    torch.testing.assert_close(by_hand.backward(w), plain.backward(w))


def test_initial_parameters_are_xavier_or_of_a_truncated_normal() -> None:
    xavier, narrow = MlpRegressor(hidden_sizes=(100, 100)), MlpRegressor(hidden_sizes=(100, 100), init_std=0.01)
    for model, bound, std in [(xavier, 0.03**0.5, 0.1), (narrow, 0.02, 0.0088)]:
        theta = model.initial_parameters(KeyedGenerator(1))
        assert (theta.dtype, theta.shape) == (torch.float32, (model.num_parameters,))
        parts = model.unflatten(theta[None])
        assert 0.95 * bound < parts["layer1.weight"].abs().max() <= bound
        assert parts["layer1.weight"].std() == pytest.approx(std, rel=0.03)
        assert all((part == 0).all() for name, part in parts.items() if "bias" in name)
