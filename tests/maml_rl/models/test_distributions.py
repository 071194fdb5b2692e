import pytest
import torch
from torch.distributions import Categorical as Reference
from torch.distributions import kl_divergence

from maml_rl.envs import KeyedGenerator
from maml_rl.models.distributions import Categorical


def random_categorical(seed: int) -> Categorical:
    return Categorical(2 * torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def test_categorical_log_prob_kl_and_entropy_equal_torch() -> None:
    one, other = random_categorical(0), random_categorical(1)
    choices = torch.arange(10).reshape(2, 5) % 4
    actions = torch.nn.functional.one_hot(choices, 4).double()
    reference = Reference(logits=one.logits)
    torch.testing.assert_close(one.log_prob(actions), reference.log_prob(choices))
    torch.testing.assert_close(one.kl_to(other), kl_divergence(reference, Reference(logits=other.logits)))
    torch.testing.assert_close(one.entropy(), reference.entropy())
    torch.testing.assert_close(one.log_prob(one.mode()), reference.logits.amax(dim=-1))


def test_categorical_fisher_is_the_hessian_of_the_kl() -> None:
    one = random_categorical(0)
    logits = one.logits[:1, :1]

    def kl(new: torch.Tensor) -> torch.Tensor:
        return Categorical(logits).kl_to(Categorical(new)).sum()

    hessian = torch.autograd.functional.hessian(kl, logits)
    assert isinstance(hessian, torch.Tensor)
    columns = [Categorical(logits).fisher(Categorical(e.expand(1, 1, 4))).logits[0, 0] for e in torch.eye(4).double()]
    torch.testing.assert_close(torch.stack(columns), hessian.reshape(4, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_categorical_draws_have_their_probabilities(dtype: torch.dtype) -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 0.5], dtype=dtype)
    noise = Categorical.draw_noise(KeyedGenerator(0), (1, 20_000, 4), dtype)
    actions = Categorical(logits.expand(1, 20_000, 4)).sample(noise)
    assert actions.dtype == dtype
    assert torch.equal(actions.sum(dim=-1), torch.ones(1, 20_000, dtype=dtype))
    torch.testing.assert_close(actions.mean(dim=(0, 1)), logits.softmax(dim=0), atol=0.01, rtol=0)


def test_a_draw_of_zero_is_finite() -> None:
    actions = Categorical(torch.zeros(1, 1, 3)).sample(torch.zeros(1, 1, 3))
    assert actions.sum() == 1
