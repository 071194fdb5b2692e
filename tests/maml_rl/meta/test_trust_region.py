import pytest
import torch

from maml_rl.meta.trust_region import conjugate_gradient, trust_region_step

SETTINGS = {"max_kl": 0.01, "cg_iterations": 10, "cg_damping": 0.0, "max_backtracks": 15, "backtrack_ratio": 0.8}


def positive_definite(size: int, seed: int) -> torch.Tensor:
    root = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return root @ root.mT + torch.eye(size, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(5))
def test_conjugate_gradient_solves_positive_definite_systems(seed: int) -> None:
    A = positive_definite(20, seed)
    b = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(100 + seed))
    original = b.clone()
    x, A_x = conjugate_gradient(lambda v: A @ v, b, iterations=60)
    torch.testing.assert_close(A @ x, b, rtol=0, atol=1e-8)
    torch.testing.assert_close(A_x, A @ x, rtol=0, atol=1e-10)
    assert torch.equal(b, original)


def test_conjugate_gradient_does_no_more_products_than_asked_or_needed() -> None:
    products = []

    def product(v: torch.Tensor) -> torch.Tensor:
        products.append(v)
        return 3 * v

    x, _ = conjugate_gradient(product, torch.ones(4, dtype=torch.float64), iterations=10)
    torch.testing.assert_close(x, torch.full((4,), 1 / 3, dtype=torch.float64))
    assert len(products) == 1
    x, _ = conjugate_gradient(product, torch.zeros(4), iterations=10)
    assert (x == 0).all()
    assert len(products) == 1


def test_the_step_is_the_natural_gradient_of_length_max_kl() -> None:
    """On a linear loss with a quadratic KL the first candidate is exact: KL = max_kl, direction F^-1 g."""
    F, g = positive_definite(6, 0), torch.arange(1.0, 7.0, dtype=torch.float64)
    theta = torch.ones(6, dtype=torch.float64)

    def evaluate(x: torch.Tensor) -> tuple[float, float]:
        d = x - theta
        return float(g @ d), 0.5 * float(d @ F @ d) * (1 - 1e-9)

    step = trust_region_step(theta, 0.0, g, lambda v: F @ v, evaluate, **SETTINGS)
    assert step.accepted
    assert step.backtracks == 0
    assert step.kl == pytest.approx(0.01)
    direction = torch.linalg.solve(F, g)
    expected = theta - (0.02 / (g @ direction)).sqrt() * direction
    torch.testing.assert_close(step.theta, expected, rtol=1e-6, atol=1e-9)
    assert step.loss == pytest.approx(float(g @ (expected - theta)))


def test_backtracks_until_the_kl_is_kept_and_the_loss_improves() -> None:
    theta, g = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    candidates: list[float] = []

    def evaluate(x: torch.Tensor) -> tuple[float, float]:
        candidates.append(-float(x))
        kl = 1.0 if -float(x) > 0.1 else 0.005
        return (-1.0 if -float(x) < 0.08 else 1.0), kl

    step = trust_region_step(theta, 0.0, g, lambda v: v, evaluate, **SETTINGS)
    full = 0.02**0.5
    assert candidates == pytest.approx([full, 0.8 * full, 0.64 * full, 0.512 * full])
    assert step.backtracks == 3
    assert step.accepted
    assert step.loss == -1


@pytest.mark.parametrize("loss", [0.0, 1.0, float("nan")])
def test_a_rejected_line_search_is_a_result(loss: float) -> None:
    theta = torch.zeros(2, dtype=torch.float64)
    step = trust_region_step(
        theta, 0.0, torch.ones(2, dtype=torch.float64), lambda v: v, lambda x: (loss, 0.0), **SETTINGS
    )
    assert not step.accepted
    assert step.backtracks == 15
    assert torch.equal(step.theta, theta)
    assert (step.loss, step.kl) == (0, 0)


def test_a_zero_gradient_stays_where_it_is() -> None:
    theta = torch.ones(2, dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    step = trust_region_step(theta, 0.0, zero, lambda v: v, lambda x: (0.0, 0.0), **SETTINGS)
    assert not step.accepted
    assert step.backtracks == 0  # no candidate was tried
    flat = trust_region_step(theta, 0.0, theta, lambda v: 0 * v, lambda x: (0.0, 0.0), **SETTINGS)
    assert not flat.accepted
    assert torch.equal(step.theta, theta)


def test_damping_shortens_the_step() -> None:
    theta, g = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)

    def length(cg_damping: float) -> float:
        settings = SETTINGS | {"cg_damping": cg_damping}
        step = trust_region_step(theta, 0.0, g, lambda v: v, lambda x: (-1.0, 0.0), **settings)
        return float(step.theta.norm())

    assert length(3.0) == pytest.approx(length(0.0) / 2)
