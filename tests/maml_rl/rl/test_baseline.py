import pytest
import torch

from maml_rl.rl.baseline import Cuts, baseline_features, fit_baseline, predict_values
from maml_rl.rl.returns import discounted_returns
from maml_rl.schema.errors import Diverged


def features_of(observations: torch.Tensor) -> torch.Tensor:
    """Of steps 0, 1, ... observations: [M, E, H, O]."""
    return baseline_features(observations, torch.arange(observations.shape[2]).expand(observations.shape[:3]))


def test_features() -> None:
    observations = torch.tensor([[[[2.0, -50.0]], [[0.5, 3.0]]]])  # [1, 2, 1, 2]
    features = baseline_features(observations, torch.tensor([[[50], [0]]]))
    expected = [2, -10, 4, 100, 0.5, 0.25, 0.125, 1]  # clipped at 10
    assert features.dtype == torch.float64
    torch.testing.assert_close(features[0, 0, 0], torch.tensor(expected, dtype=torch.float64))
    assert features.shape == (1, 2, 1, 8)


def test_recovers_the_coefficients_of_each_task_from_ill_conditioned_features() -> None:
    """Normal equations in float32 miss these by far: the features are nearly collinear."""
    generator = torch.Generator().manual_seed(0)
    observations = 5 + 0.01 * torch.randn(2, 20, 100, 3, generator=generator)
    features = features_of(observations)
    truth = torch.randn(2, features.shape[-1], generator=generator, dtype=torch.float64)
    targets = predict_values(features, truth)
    mask = torch.ones(2, 20, 100, dtype=torch.bool)
    values = predict_values(features, fit_baseline(features, targets, mask))
    torch.testing.assert_close(values, targets, rtol=0, atol=2e-3)
    assert targets.std() > 1


def test_ignores_what_is_outside_of_the_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    features = features_of(torch.randn(2, 4, 10, 3, generator=generator))
    targets = torch.randn(2, 4, 10, generator=generator, dtype=torch.float64)
    mask = torch.rand(2, 4, 10, generator=generator) < 0.7
    expected = fit_baseline(features, targets, mask)
    garbage = fit_baseline(features.masked_fill(~mask[..., None], float("nan")), targets.masked_fill(~mask, 1e9), mask)
    assert torch.equal(expected, garbage)
    assert not torch.equal(expected, fit_baseline(features, targets, torch.ones_like(mask)))


def test_a_singular_fit_is_regularised_and_a_fit_of_nan_is_an_error() -> None:
    features = features_of(torch.zeros(1, 2, 3, 2))
    targets = torch.ones(1, 2, 3, dtype=torch.float64)
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    torch.testing.assert_close(
        predict_values(features, fit_baseline(features, targets, mask)), targets, rtol=0, atol=1e-4
    )
    with pytest.raises(Diverged, match="no finite fit"):
        fit_baseline(features, targets * float("nan"), mask)


def test_an_episode_cut_off_is_fitted_with_the_value_of_what_was_cut_off() -> None:
    """The fixed point: the fit to targets that hold the fit's own values gives the same fit again."""
    discount, generator = 0.9, torch.Generator().manual_seed(0)
    M, E, H = 2, 30, 8
    features = features_of(torch.randn(M, E, H, 2, generator=generator))
    rewards = torch.randn(M, E, H, generator=generator, dtype=torch.float64)
    mask = torch.ones(M, E, H, dtype=torch.bool)
    ended = torch.zeros_like(mask)
    ended[..., -1] = True
    cut = ended.clone()
    cut[:, ::2] = False  # every other episode
    cut[1, 1] = False  # tasks have different numbers of cuts
    task, episode, step = cut.nonzero(as_tuple=True)
    at_cut = features_of(torch.randn(M, E, H + 1, 2, generator=generator))[task, episode, step + 1]
    weights = discount ** torch.arange(H, 0, -1, dtype=torch.float64)
    cuts = Cuts(task, at_cut, (weights[:, None] * features[task, episode]).sum(dim=1))
    coefficients = fit_baseline(features, discounted_returns(rewards, ended, discount), mask, cuts)

    completed = rewards.clone()
    completed[cut] += discount * (at_cut * coefficients[task]).sum(dim=1)
    again = fit_baseline(features, discounted_returns(completed, ended, discount), mask)
    torch.testing.assert_close(coefficients, again, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(coefficients, fit_baseline(features, discounted_returns(rewards, ended, discount), mask))
