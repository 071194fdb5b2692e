"""Derivatives by hand of the networks with batch normalisation equal autograd's, and do not depend on other tasks."""

import pytest
import torch

from maml_rl.models.batch_norm_mlp import BatchNormMlp
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.derivatives import derivatives
from maml_rl.models.distributions import Categorical

M, N = 5, 6
SHAPE = (2, 9, 7)
MODELS = {
    "stride, mean": ConvClassifier(4, SHAPE, filters=5, blocks=2),
    "stride, flat": ConvClassifier(4, SHAPE, filters=5, blocks=3, features="flat"),
    "max_pool, mean": ConvClassifier(4, SHAPE, filters=5, blocks=1, halved_by="max_pool"),
    "max_pool, flat": ConvClassifier(4, SHAPE, filters=5, blocks=2, halved_by="max_pool", features="flat"),
    "mlp": BatchNormMlp(4, 2 * 9 * 7, (7, 5)),
}


@pytest.fixture(params=MODELS)
def model(request) -> ConvClassifier | BatchNormMlp:
    return MODELS[request.param]


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def loss(distribution) -> torch.Tensor:
    return distribution.log_p()[..., 0].square().mean(dim=1)


def all_products(around, u_M: torch.Tensor, w: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "logits": around.distribution.logits,
        "gradient": around.gradient(loss),
        "hessian": around.hessian(loss)(u_M),
        "forward": around.forward(u_M).logits,
        "backward": around.backward(Categorical(w)),
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)], ids=str)
def test_they_are_autograd_s(model, dtype, tolerance) -> None:
    P = model.num_parameters
    theta_M, images = drawn(M, P, seed=0, dtype=dtype), drawn(M, N, *SHAPE, seed=1, dtype=dtype)
    directions = drawn(M, P, seed=2, dtype=dtype), drawn(M, N, 4, seed=3, dtype=dtype)
    by_hand = all_products(model.derivatives(theta_M, images), *directions)
    for name, wanted in all_products(derivatives(model.at, theta_M, images), *directions).items():
        assert by_hand[name].dtype == dtype
        scale = float(wanted.abs().max())
        torch.testing.assert_close(by_hand[name], wanted, rtol=tolerance, atol=tolerance * scale, msg=name)


def test_of_one_theta_for_all_tasks_they_are_those_of_copies(model) -> None:
    shared, images = drawn(1, model.num_parameters, seed=0).expand(M, -1), drawn(M, N, *SHAPE, seed=1)
    directions = drawn(M, model.num_parameters, seed=2), drawn(M, N, 4, seed=3)
    of_shared, of_copies = (
        all_products(model.derivatives(theta_M, images), *directions) for theta_M in (shared, shared.clone())
    )
    for name, wanted in of_copies.items():
        torch.testing.assert_close(of_shared[name], wanted, msg=name)


@pytest.mark.parametrize("model", [ConvClassifier(5), BatchNormMlp(5)], ids=["conv", "mlp"])
def test_the_last_bits_of_a_task_do_not_depend_on_the_tasks_beside_it(model) -> None:
    """At the published sizes: runs then do not depend on the number of ranks, whose shares begin at other tasks."""
    P, dtype = model.num_parameters, torch.float32
    theta_M, images = drawn(M, P, seed=0, dtype=dtype), drawn(M, N, 1, 28, 28, seed=1, dtype=dtype)
    directions = drawn(M, P, seed=2, dtype=dtype), drawn(M, N, 5, seed=3, dtype=dtype)
    together = all_products(model.derivatives(theta_M, images), *directions)
    for tasks in (slice(0, 1), slice(1, 3), slice(3, 5)):
        apart = all_products(model.derivatives(theta_M[tasks], images[tasks]), *(each[tasks] for each in directions))
        assert all(torch.equal(part, together[name][tasks]) for name, part in apart.items())


def test_one_example_cannot_be_normalised() -> None:
    model = MODELS["mlp"]
    with pytest.raises(ValueError, match="a single number"):
        model.derivatives(drawn(M, model.num_parameters, seed=0), drawn(M, 1, *SHAPE, seed=1))
