from collections.abc import Callable

import pytest
import torch

from maml_rl.policies import GaussianMlpPolicy
from maml_rl.samples import Samples


@pytest.fixture
def five_parameters() -> GaussianMlpPolicy:
    """1-1-1 and a log_std: five parameters in all."""
    return GaussianMlpPolicy(observation_size=1, action_size=1, hidden_sizes=(1,), nonlinearity="tanh")


@pytest.fixture
def draw_samples() -> Callable[..., Samples]:
    """Random float64 samples of unequal lengths for a policy."""

    def draw(policy: GaussianMlpPolicy, num_tasks: int = 3, num_steps: int = 7, seed: int = 0) -> Samples:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        mask = torch.rand(num_tasks, num_steps, generator=generator) < 0.8
        mask[:, 0] = True
        return Samples(
            observations=normal(num_tasks, num_steps, policy.observation_size),
            actions=normal(num_tasks, num_steps, policy.action_size),
            advantages=normal(num_tasks, num_steps),
            weights=mask / mask.sum(dim=1, keepdim=True).double(),
        )

    return draw


@pytest.fixture
def theta() -> torch.Tensor:
    return torch.tensor([0.7, -0.2, 0.9, 0.1, -0.3], dtype=torch.float64)
