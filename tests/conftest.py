from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import one_hot

from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.samples import Samples
from maml_rl.runs.validation import Validator


@pytest.fixture(autouse=True)
def no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished run draws its figures, which takes longer than a tiny run: only if a test is marked `figures`."""
    if not request.node.get_closest_marker("figures"):
        monkeypatch.setattr(Validator, "_draw", lambda *_: None)


@pytest.fixture
def five_parameters() -> MlpPolicy:
    """1-1-1 and a log_std: five parameters in all."""
    return MlpPolicy(observation_size=1, action_size=1, hidden_sizes=(1,), nonlinearity="tanh")


@pytest.fixture
def draw_samples() -> Callable[..., Samples]:
    """Random float64 samples of unequal lengths for a policy, in episodes of unequal lengths."""

    def draw(policy: MlpPolicy, num_tasks: int = 3, num_steps: int = 7, seed: int = 0) -> Samples:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        mask = torch.rand(num_tasks, num_steps, generator=generator) < 0.8
        mask[:, 0] = True
        actions = normal(num_tasks, num_steps, policy.action_size)
        if policy.choices:
            parts = actions.split(policy.choices, dim=-1)
            actions = torch.cat([one_hot(part.argmax(dim=-1), part.shape[-1]) for part in parts], dim=-1).double()
        return Samples(
            inputs=normal(num_tasks, num_steps, policy.observation_size),
            actions=actions,
            advantages=normal(num_tasks, num_steps),
            weights=mask / mask.sum(dim=1, keepdim=True).double(),
            episodes=(torch.rand(num_tasks, num_steps, generator=generator) < 0.3).cumsum(dim=1),
            returns=10 * normal(num_tasks),
        )

    return draw


@pytest.fixture
def theta() -> torch.Tensor:
    return torch.tensor([0.7, -0.2, 0.9, 0.1, -0.3], dtype=torch.float64)
