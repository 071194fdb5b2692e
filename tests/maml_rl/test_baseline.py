import pytest
import torch

from maml_rl.baseline import baseline_features, fit_baseline, predict_values


def test_features() -> None:
    observations = torch.tensor([[[[2.0, -50.0]], [[0.5, 3.0]]]])  # [1, 2, 1, 2]
    features = baseline_features(observations, first_step=50)
    expected = [2, -10, 4, 100, 0.5, 0.25, 0.125, 1]  # clipped at 10
    assert features.dtype == torch.float64
    torch.testing.assert_close(features[0, 0, 0], torch.tensor(expected, dtype=torch.float64))
    assert features.shape == (1, 2, 1, 8)


def test_recovers_the_coefficients_of_each_task_from_ill_conditioned_features() -> None:
    """Normal equations in float32 miss these by far: the features are nearly collinear."""
    generator = torch.Generator().manual_seed(0)
    observations = 5 + 0.01 * torch.randn(2, 20, 100, 3, generator=generator)
    features = baseline_features(observations)
    truth = torch.randn(2, features.shape[-1], generator=generator, dtype=torch.float64)
    targets = predict_values(features, truth)
    mask = torch.ones(2, 20, 100, dtype=torch.bool)
    values = predict_values(features, fit_baseline(features, targets, mask))
    torch.testing.assert_close(values, targets, rtol=0, atol=2e-3)
    assert targets.std() > 1


def test_ignores_what_is_outside_of_the_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    features = baseline_features(torch.randn(2, 4, 10, 3, generator=generator))
    targets = torch.randn(2, 4, 10, generator=generator, dtype=torch.float64)
    mask = torch.rand(2, 4, 10, generator=generator) < 0.7
    expected = fit_baseline(features, targets, mask)
    garbage = fit_baseline(features.masked_fill(~mask[..., None], float("nan")), targets.masked_fill(~mask, 1e9), mask)
    assert torch.equal(expected, garbage)
    assert not torch.equal(expected, fit_baseline(features, targets, torch.ones_like(mask)))


def test_a_singular_fit_is_regularised_and_a_fit_of_nan_is_an_error() -> None:
    features = baseline_features(torch.zeros(1, 2, 3, 2))
    targets = torch.ones(1, 2, 3, dtype=torch.float64)
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    torch.testing.assert_close(
        predict_values(features, fit_baseline(features, targets, mask)), targets, rtol=0, atol=1e-4
    )
    with pytest.raises(ValueError, match="no finite fit"):
        fit_baseline(features, targets * float("nan"), mask)
