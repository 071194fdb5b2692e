"""The fast form of the derivatives equals the plain one, on networks of every shape."""

from threading import Thread

import pytest
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.models.derivatives import derivatives
from maml_rl.models.distributions import Categorical
from maml_rl.models.normalization import Normalization
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import policy_gradient

M = 3


@pytest.fixture(params=[(), (6,), (6, 5), (4, 6, 5)], ids=str)
def hidden_sizes(request):
    return request.param


@pytest.fixture(params=[(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["float64", "float32"])
def precision(request):
    return request.param


@pytest.fixture(params=["relu", "tanh", "tanh-2", "tanh-3-2", "tanh-context", "relu-2-context", "tanh-normalized"])
def policy(request, hidden_sizes) -> MlpPolicy:
    # One of the two log_stds below is at its floor.
    nonlinearity, *sizes = request.param.removesuffix("-context").removesuffix("-normalized").split("-")
    choices = tuple(map(int, sizes))
    context_size = 4 if "context" in request.param else 0
    return MlpPolicy(
        3,
        sum(choices) or 2,
        hidden_sizes,
        nonlinearity,
        min_log_std=-0.5,
        choices=choices,
        context_size=context_size,
        normalization=Normalization((1.0, -2.0, 0.0), (0.5, 3.0, 1.0)) if "normalized" in request.param else None,
    )


def parameters(policy: MlpPolicy, seed: int, dtype: torch.dtype) -> torch.Tensor:
    theta_M = torch.stack([policy.initial_parameters(KeyedGenerator(seed, i)) for i in range(M)]).to(dtype)
    if policy.context_size:  # zero at first
        theta_M[:, : policy.context_size] = theta_M[:, 10 : 10 + policy.context_size]
    if not policy.choices:
        theta_M[:, -2:] = torch.tensor([0.3, -0.8])
    return theta_M


def assert_close(fast: torch.Tensor, plain: torch.Tensor, tolerance: float) -> None:
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance * float(plain.abs().max()))


def cast(samples, dtype: torch.dtype):
    names = ("inputs", "actions", "advantages", "weights")
    return type(samples)(*(getattr(samples, name).to(dtype) for name in names))


def test_of_a_loss(policy, draw_samples, precision) -> None:
    dtype, tolerance = precision
    samples = cast(draw_samples(policy, num_tasks=M, num_steps=30), dtype)
    theta_M = parameters(policy, 0, dtype)
    fast = policy.derivatives(theta_M, samples.inputs)
    plain = derivatives(policy.at, theta_M, samples.inputs)

    def loss(distribution) -> torch.Tensor:
        return policy_gradient(distribution, samples)

    assert_close(fast.gradient(loss), plain.gradient(loss), tolerance)
    of_fast, of_plain = fast.hessian(loss), plain.hessian(loss)
    for seed in range(3):
        v_M = torch.randn(theta_M.shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
        assert_close(of_fast(v_M), of_plain(v_M), tolerance)


def test_of_the_policy(policy, draw_samples, precision) -> None:
    dtype, tolerance = precision
    samples = cast(draw_samples(policy, num_tasks=M, num_steps=30), dtype)
    theta_M = parameters(policy, 0, dtype)
    fast = policy.derivatives(theta_M, samples.inputs)
    plain = derivatives(policy.at, theta_M, samples.inputs)
    generator = torch.Generator().manual_seed(1)
    u_M = torch.randn(theta_M.shape, dtype=dtype, generator=generator)
    w = policy.over_actions(*(torch.randn(part.shape, dtype=dtype, generator=generator) for part in plain.distribution))
    for one, other in zip(fast.distribution, plain.distribution, strict=True):
        assert_close(one, other, tolerance)
    for one, other in zip(fast.forward(u_M), plain.forward(u_M), strict=True):
        assert_close(one, other, tolerance)
    assert_close(fast.backward(w), plain.backward(w), tolerance)


def test_of_a_loss_that_does_not_bend(draw_samples, hidden_sizes) -> None:
    """Its gradient by the distribution is constant, and by the standard deviation nothing."""
    policy = MlpPolicy(3, 2, hidden_sizes, "tanh")
    samples = draw_samples(policy, num_tasks=M, num_steps=30)
    theta_M = parameters(policy, 0, torch.float64)

    def loss(distribution) -> torch.Tensor:
        return (samples.weights * samples.advantages * distribution.mean.sum(-1)).sum(1)

    fast, plain = policy.derivatives(theta_M, samples.inputs), derivatives(policy.at, theta_M, samples.inputs)
    assert_close(fast.gradient(loss), plain.gradient(loss), 1e-10)
    assert_close(fast.hessian(loss)(theta_M), plain.hessian(loss)(theta_M), 1e-10)


class Counted(torch.autograd.Function):
    """The identity. `passes` counts its backward passes."""

    passes = 0

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, *cotangents: torch.Tensor) -> torch.Tensor:
        Counted.passes += 1
        return cotangents[0]


def test_a_forward_product_is_prepared_when_it_is_first_asked_for() -> None:
    """In a thread, as elsewhere, where gradients may be off."""

    def at(theta_M: torch.Tensor):
        return lambda inputs: Categorical(Counted.apply(inputs @ theta_M.tanh()[..., None]))

    generator = torch.Generator().manual_seed(0)
    theta_M, u_M = (torch.randn(M, 3, dtype=torch.float64, generator=generator) for _ in range(2))
    inputs = torch.randn(M, 7, 3, dtype=torch.float64, generator=generator)
    Counted.passes = 0
    around = derivatives(at, theta_M, inputs)
    assert Counted.passes == 0
    around.gradient(lambda d: d[0].square().sum(dim=(1, 2)))
    assert Counted.passes == 1

    products = []

    def ask() -> None:
        with torch.no_grad():
            products.append(around.forward(u_M)[0])

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = inputs @ ((1 - theta_M.tanh().square()) * u_M)[..., None]
    for each in (*products, around.forward(u_M)[0]):
        torch.testing.assert_close(each, expected)
    passes = Counted.passes
    around.forward(u_M)
    assert passes <= 3  # one for each thread, if they asked at once
    assert Counted.passes == passes


def test_the_last_bits_do_not_depend_on_which_row_a_task_is(draw_samples) -> None:
    """Rows of theta_M have other addresses; an odd number of parameters shifts them by single numbers."""
    policy = MlpPolicy(2, 2, (100, 100), "relu", context_size=5)
    assert policy.num_parameters % 2
    theta = policy.initial_parameters(KeyedGenerator(1))
    samples = cast(draw_samples(policy, num_tasks=1, num_steps=160), torch.float32)
    rows = theta.repeat(4, 1)
    v = policy.initial_parameters(KeyedGenerator(2)).repeat(4, 1)
    results = []
    for i in range(4):
        at = policy.derivatives(rows[i : i + 1], samples.inputs)

        def loss(distribution) -> torch.Tensor:
            return policy_gradient(distribution, samples)

        of_at = policy.at(rows[i : i + 1])(samples.inputs)
        results.append(torch.cat([at.gradient(loss), at.hessian(loss)(v[i : i + 1]), of_at[0].flatten()[None]], dim=1))
    assert all(torch.equal(each, results[0]) for each in results)
