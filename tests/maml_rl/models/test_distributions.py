import pytest
import torch
from torch.distributions import Categorical as Reference
from torch.distributions import kl_divergence
from torch.nn.functional import one_hot

from maml_rl.envs import KeyedGenerator
from maml_rl.models.distributions import Categorical, Gaussian, Point, categorical, with_parts

SIZES = [(4,), (2, 3), (2, 2, 2), (1, 4)]


@pytest.fixture(params=SIZES, ids=str)
def sizes(request) -> tuple[int, ...]:
    return request.param


def random_logits(size: int, seed: int) -> torch.Tensor:
    return 2 * torch.randn(2, 5, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_categorical(sizes: tuple[int, ...], seed: int) -> Categorical:
    return categorical(sizes)(random_logits(sum(sizes), seed))


def references(distribution: Categorical, sizes: tuple[int, ...]) -> list[Reference]:
    """PyTorch's distribution of each component."""
    return [Reference(logits=part) for part in distribution.logits.split(sizes, dim=-1)]


def one_hots(choices: list[torch.Tensor], sizes: tuple[int, ...]) -> torch.Tensor:
    pairs = zip(choices, sizes, strict=True)
    return torch.cat([one_hot(choice, size) for choice, size in pairs], dim=-1).double()


def test_log_prob_kl_and_entropy_are_sums_of_torch_s(sizes) -> None:
    one, other = random_categorical(sizes, 0), random_categorical(sizes, 1)
    parts, others = references(one, sizes), references(other, sizes)
    choices = [(torch.arange(10).reshape(2, 5) + i) % size for i, size in enumerate(sizes)]
    log_probs = [part.log_prob(choice) for part, choice in zip(parts, choices, strict=True)]
    kls = [kl_divergence(p, q) for p, q in zip(parts, others, strict=True)]
    torch.testing.assert_close(one.log_prob(one_hots(choices, sizes)), sum(log_probs))
    torch.testing.assert_close(one.kl_to(other), sum(kls))
    torch.testing.assert_close(one.entropy(), sum(part.entropy() for part in parts))
    torch.testing.assert_close(one.log_prob(one.mode()), sum(part.logits.amax(dim=-1) for part in parts))


def test_fisher_is_the_hessian_of_the_kl(sizes) -> None:
    kind = categorical(sizes)
    logits = random_categorical(sizes, 0).logits[:1, :1]
    size = logits.shape[-1]

    def kl(new: torch.Tensor) -> torch.Tensor:
        return kind(logits).kl_to(kind(new)).sum()

    hessian = torch.autograd.functional.hessian(kl, logits)
    assert isinstance(hessian, torch.Tensor)
    columns = [kind(logits).fisher(kind(e.expand(1, 1, size))).logits[0, 0] for e in torch.eye(size).double()]
    torch.testing.assert_close(torch.stack(columns), hessian.reshape(size, size))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_have_their_probabilities_and_are_independent(dtype: torch.dtype) -> None:
    sizes = (4, 2)
    logits = torch.tensor([0.0, 1.0, -1.0, 0.5, 0.7, -0.7], dtype=dtype)
    kind = categorical(sizes)
    noise = kind.draw_noise(KeyedGenerator(0), (1, 20_000, 6), dtype)
    actions = kind(logits.expand(1, 20_000, 6)).sample(noise)
    assert actions.dtype == dtype
    first, second = actions[0].split(sizes, dim=-1)
    p, q = (part.softmax(dim=0) for part in logits.split(sizes))
    for part in (first, second):
        assert torch.equal(part.sum(dim=-1), torch.ones(20_000, dtype=dtype))
    torch.testing.assert_close(first.mT @ second / 20_000, torch.outer(p, q), atol=0.01, rtol=0)


def test_a_single_component_is_computed_as_ever() -> None:
    """To the bit, by the formulas of version 0.2.0: results do not depend on what other kinds of actions there are."""
    assert categorical((4,)) is Categorical
    one, other = (random_categorical((4,), seed) for seed in range(2))
    noise = Categorical.draw_noise(KeyedGenerator(0), (2, 5, 4), torch.float64)
    log_p, log_q, p = one.logits.log_softmax(-1), other.logits.log_softmax(-1), one.logits.softmax(-1)
    weighted = p * other.logits
    assert torch.equal(one.log_prob(other.mode()), (other.mode() * log_p).sum(-1))
    assert torch.equal(one.kl_to(other), (log_p.exp() * (log_p - log_q)).sum(-1))
    assert torch.equal(one.entropy(), -(log_p.exp() * log_p).sum(-1))
    assert torch.equal(one.fisher(other).logits, weighted - p * weighted.sum(-1, keepdim=True))
    assert torch.equal(one.sample(noise), one_hot((one.logits - (-noise.log()).log()).argmax(-1), 4).double())


def test_with_parts_keeps_the_components() -> None:
    one = random_categorical((2, 3), 0)
    again = with_parts(one, [random_logits(5, 1)])
    assert type(again) is type(one) is categorical((2, 3))
    assert len(again) == 1


def test_a_draw_of_zero_is_finite(sizes) -> None:
    size = sum(sizes)
    actions = categorical(sizes)(torch.zeros(1, 1, size)).sample(torch.zeros(1, 1, size))
    assert actions.sum() == len(sizes)


def test_a_point_is_a_gaussian_of_unit_variance() -> None:
    one, other, targets = (Point(random_logits(3, seed)) for seed in range(3))
    wide, wider = (Gaussian(each.mean, torch.zeros(2, 1, 3, dtype=torch.float64)) for each in (one, other))
    torch.testing.assert_close(one.log_prob(targets.mean), wide.log_prob(targets.mean))
    torch.testing.assert_close(one.kl_to(other), wide.kl_to(wider))
    torch.testing.assert_close(one.entropy(), wide.entropy())
    assert torch.equal(one.fisher(other).mean, wide.fisher(wider).mean)
    noise = Point.draw_noise(KeyedGenerator(0), (2, 5, 3), torch.float64)
    assert torch.equal(one.sample(noise), wide.sample(noise))
    assert one.mode() is one.mean


def test_a_point_has_what_regression_needs() -> None:
    """Differences of log-probabilities are half the mean squared error's; the Fisher is the Hessian of the KL."""
    one, other, targets = (random_logits(3, seed) for seed in range(3))

    def mse(prediction: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(prediction, targets, reduction="none").sum(dim=-1)

    gained = Point(one).log_prob(targets) - Point(other).log_prob(targets)
    torch.testing.assert_close(gained, (mse(other) - mse(one)) / 2)
    point = one[:1, :1]
    hessian = torch.autograd.functional.hessian(lambda new: Point(point).kl_to(Point(new)).sum(), point)
    assert isinstance(hessian, torch.Tensor)
    torch.testing.assert_close(hessian.reshape(3, 3), torch.eye(3).double())
    tangent = Point(other[:1, :1])
    assert torch.equal(Point(point).fisher(tangent).mean, tangent.mean)
