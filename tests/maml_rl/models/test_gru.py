"""The recurrent policy: its network, its initial parameters, its memory."""

from math import exp

import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.models.distributions import Gaussian
from maml_rl.models.gru import GruPolicy

M, E, T = 2, 3, 5


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_torch_s_gru_behind_a_layer() -> None:
    policy = GruPolicy(4, 2, (6, 5), "relu")
    theta = drawn(policy.num_parameters)
    inputs, memory = drawn(M, E, T, 4), drawn(M, E, 5, seed=1)
    distribution, last = policy.unrolled_at(theta)(inputs, memory)

    parameters = {name: part[0] for name, part in policy.unflatten(theta[None]).items()}
    gru = torch.nn.GRU(6, 5, batch_first=True, dtype=torch.float64)
    for ours, theirs in [("weight_input", "weight_ih_l0"), ("weight_memory", "weight_hh_l0")]:
        getattr(gru, theirs).data = parameters[f"gru.{ours}"]
        getattr(gru, theirs.replace("weight", "bias")).data = parameters[f"gru.{ours.replace('weight', 'bias')}"]
    x = torch.relu(inputs.reshape(M * E, T, 4) @ parameters["layer0.weight"] + parameters["layer0.bias"])
    states, end = gru(x, memory.reshape(1, M * E, 5))
    mean = states @ parameters["output.weight"] + parameters["output.bias"]
    assert isinstance(distribution, Gaussian)
    torch.testing.assert_close(distribution.mean, mean.reshape(M, E * T, 2))
    torch.testing.assert_close(last, end.reshape(M, E, 5))
    assert torch.equal(distribution.log_std[0, 0], parameters["log_std"])
    assert [name for layer in policy.layers for name in layer] == list(parameters)[:-1]


@pytest.mark.parametrize("choices", [(), (2, 3)])
def test_steps_one_by_one_are_steps_at_once(choices) -> None:
    policy = GruPolicy(4, sum(choices) or 2, (5,), choices=choices)
    unroll = policy.unrolled_at(drawn(policy.num_parameters))
    inputs, memory = drawn(M, E, T, 4), drawn(M, E, 5, seed=1)
    whole, last = unroll(inputs, memory)
    parts = []
    for t in range(T):
        distribution, memory = unroll(inputs[:, :, t : t + 1], memory)
        parts.append(distribution[0])
    torch.testing.assert_close(torch.stack(parts, dim=2).flatten(1, 2), whole[0])
    torch.testing.assert_close(memory, last)


def test_each_task_has_its_own_parameters_at_first_observations() -> None:
    policy = GruPolicy(4, 2, (5,))
    theta_M, observations = drawn(M, policy.num_parameters), drawn(M, T, 4)
    distribution = policy.at(theta_M)(observations)
    for i in range(M):
        alone, _ = policy.unrolled_at(theta_M[i])(observations[i, None, :, None], observations.new_zeros(1, T, 5))
        torch.testing.assert_close(distribution[0][i], alone[0][0])
    gradient = policy.derivatives(theta_M, observations).gradient(lambda d: d[0].square().sum(dim=(1, 2)))
    point = theta_M.clone().requires_grad_()
    (expected,) = torch.autograd.grad(policy.at(point)(observations)[0].square().sum(), point)
    torch.testing.assert_close(gradient, expected)


def test_initial_parameters_are_small_where_they_should_be() -> None:
    policy = GruPolicy(10, 6, (32, 64), init_log_std=-0.5, output_scale=0.01)
    theta = policy.initial_parameters(KeyedGenerator(1))
    assert (theta.dtype, theta.shape) == (torch.float32, (policy.num_parameters,))
    parameters = policy.unflatten(theta[None])
    for name, size in [("layer0.weight", 10 + 32), ("gru.weight_input", 32 + 64), ("gru.weight_memory", 64 + 64)]:
        assert parameters[name].abs().max() == pytest.approx((6 / size) ** 0.5, rel=0.05)
    assert parameters["output.weight"].abs().max() == pytest.approx(0.01 * (6 / 70) ** 0.5, rel=0.05)
    assert all((part == 0).all() for name, part in parameters.items() if "bias" in name)
    assert policy.mean_std(theta) == pytest.approx(exp(-0.5))
    assert policy.memory_size == 64
