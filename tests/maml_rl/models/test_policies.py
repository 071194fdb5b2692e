import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from maml_rl.envs import KeyedGenerator
from maml_rl.models.distributions import Gaussian
from maml_rl.models.gru import GruPolicy
from maml_rl.models.normalization import Normalization
from maml_rl.models.policies import MlpPolicy


def random_gaussian(seed: int) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    return Gaussian(torch.randn(2, 5, 3, generator=generator), 0.5 * torch.randn(2, 1, 3, generator=generator))


def reference(gaussian: Gaussian) -> Independent:
    return Independent(Normal(gaussian.mean, gaussian.log_std.exp().expand_as(gaussian.mean)), 1)


def test_log_prob_and_kl_sum_over_action_components() -> None:
    old, new = random_gaussian(0), random_gaussian(1)
    actions = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(old.log_prob(actions), reference(old).log_prob(actions))
    torch.testing.assert_close(old.kl_to(new), kl_divergence(reference(old), reference(new)))


def test_kl_is_zero_to_itself_and_its_hessian_is_the_fisher_information() -> None:
    gaussian = Gaussian(torch.tensor([[[0.3]]], dtype=torch.float64), torch.tensor([[[-0.7]]], dtype=torch.float64))
    assert gaussian.kl_to(gaussian).item() == 0

    def kl(parameters: torch.Tensor) -> torch.Tensor:
        return gaussian.kl_to(Gaussian(parameters[:1, None, None], parameters[1:, None, None])).sum()

    hessian = torch.autograd.functional.hessian(kl, torch.tensor([0.3, -0.7], dtype=torch.float64))
    one, zero = torch.ones(1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, dtype=torch.float64)
    by_mean, by_log_std = gaussian.fisher(Gaussian(one, zero)), gaussian.fisher(Gaussian(zero, one))
    columns = torch.tensor([[by_mean.mean, by_log_std.mean], [by_mean.log_std, by_log_std.log_std]])
    torch.testing.assert_close(columns.double(), hessian)


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_each_task_has_its_own_network(nonlinearity: str) -> None:
    policy = MlpPolicy(3, 2, (5, 4), nonlinearity)  # type: ignore[arg-type]
    theta_M = torch.stack([policy.initial_parameters(KeyedGenerator(seed)) for seed in range(2)])
    observations = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    distribution = policy.at(theta_M)(observations)
    function = {"relu": torch.relu, "tanh": torch.tanh}[nonlinearity]
    for i in range(2):
        sizes = [3 * 5, 5, 5 * 4, 4, 4 * 2, 2, 2]
        W0, b0, W1, b1, W2, b2, log_std = theta_M[i].split(sizes)
        x = function(observations[i] @ W0.reshape(3, 5) + b0)
        x = function(x @ W1.reshape(5, 4) + b1) @ W2.reshape(4, 2) + b2
        torch.testing.assert_close(distribution.mean[i], x)
        torch.testing.assert_close(distribution.log_std[i, 0], log_std)


@pytest.mark.parametrize("kind", [MlpPolicy, GruPolicy])
def test_a_policy_sees_normalized_observations(kind) -> None:
    theta_M = kind(3, 2, (5,)).initial_parameters(KeyedGenerator(0))[None]
    given, normalized = torch.tensor([[[-4.0, 0.0, 3.0]]]), torch.tensor([[[-2.0, 2.0, 3.0]]])
    policy = kind(3, 2, (5,), normalization=Normalization((0.0, -1.0, 0.0), (2.0, 0.5, 1.0)))
    torch.testing.assert_close(policy.at(theta_M)(given).mean, kind(3, 2, (5,)).at(theta_M)(normalized).mean)


def test_initial_parameters_are_xavier_with_zero_biases() -> None:
    policy = MlpPolicy(20, 6, (100, 100), init_log_std=-0.5)
    theta = policy.initial_parameters(KeyedGenerator(1))
    assert theta.shape == (policy.num_parameters,)
    parts = policy.unflatten(theta[None])
    for layer, (size_in, size_out) in enumerate([(20, 100), (100, 100), (100, 6)]):
        bound = (6 / (size_in + size_out)) ** 0.5
        weight = parts[f"layer{layer}.weight"]
        assert 0.95 * bound < weight.abs().max() <= bound
        assert abs(weight.std() - bound / 3**0.5) < 0.05 * bound
        assert (parts[f"layer{layer}.bias"] == 0).all()
    assert (parts["log_std"] == -0.5).all()


def test_log_std_is_floored_and_stays_finite() -> None:
    policy = MlpPolicy(1, 1, (), min_log_std=-2.0)
    theta = torch.tensor([[0.5, 0.0, -500.0]], dtype=torch.float64, requires_grad=True)
    distribution = policy.at(theta)(torch.ones(1, 1, 1, dtype=torch.float64))
    assert distribution.log_std.item() == -2
    log_prob = distribution.log_prob(torch.zeros(1, 1, 1, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(log_prob.sum(), theta)
    assert gradient.isfinite().all()
    assert gradient[0, 2] == 0
    assert policy.mean_std(theta.detach()[0]) == pytest.approx(torch.tensor(-2.0).exp().item())
