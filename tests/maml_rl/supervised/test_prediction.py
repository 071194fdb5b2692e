import pytest
import torch
from torch import Tensor

from maml_rl.meta.algorithm import FeedForward
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.distributions import Categorical, Gaussian, Point
from maml_rl.models.model import Model
from maml_rl.models.policies import MlpPolicy
from maml_rl.models.regressor import MlpRegressor
from maml_rl.supervised import prediction
from maml_rl.supervised.prediction import predicted

M, S, Q = 3, 5, 4
CONV = ConvClassifier(4, (2, 9, 7), filters=5, blocks=2)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of(model: Model, *shape: int) -> tuple[Tensor, Tensor, Tensor]:
    """theta_M [M, P], and inputs of support and query sets."""
    return drawn(M, model.num_parameters, seed=0), drawn(M, S, *shape, seed=1), drawn(M, Q, *shape, seed=2)


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    return of(CONV, 2, 9, 7)


def test_transductive_is_the_model_on_all_queries(pictures) -> None:
    theta_M, support, query = pictures
    distribution = predicted(FeedForward(CONV, theta_M), support, query, transductive=True)
    assert isinstance(distribution, Categorical)
    torch.testing.assert_close(distribution.logits, CONV.at(theta_M)(query).logits)


@pytest.mark.parametrize("rows", [1, 5 * (S + 1), 2048])
def test_otherwise_it_is_the_model_on_the_support_set_and_each_query(pictures, rows, monkeypatch) -> None:
    """Chunks of one pair, of some pairs that reach over tasks, and of all."""
    monkeypatch.setattr(prediction, "CACHE_ROWS", rows)
    theta_M, support, query = pictures
    distribution = predicted(FeedForward(CONV, theta_M), support, query, transductive=False)
    assert isinstance(distribution, Categorical)
    assert distribution.logits.shape == (M, Q, 4)
    for i in range(M):
        for q in range(Q):
            batch = torch.stack([*support[i], query[i, q]])[None]
            expected = CONV.at(theta_M[i : i + 1])(batch).logits[0, -1]
            torch.testing.assert_close(distribution.logits[i, q], expected)


def test_only_transductive_predictions_depend_on_other_queries(pictures) -> None:
    theta_M, support, query = pictures
    others = query.clone()
    others[:, 1:] += 1
    for transductive in (False, True):
        one, other = (
            predicted(FeedForward(CONV, theta_M), support, each, transductive).log_p() for each in (query, others)
        )
        assert torch.allclose(one[:, 0], other[:, 0]) != transductive
        assert not torch.allclose(one[:, 1], other[:, 1])


@pytest.mark.parametrize(
    ("model", "kind"), [(MlpRegressor(2, 3, (5,)), Point), (MlpPolicy(2, 3, (5,)), Gaussian)], ids=["point", "gaussian"]
)
def test_without_batch_normalisation_both_are_alike(model, kind) -> None:
    theta_M, support, query = of(model, 2)
    both = [predicted(FeedForward(model, theta_M), support, query, transductive) for transductive in (True, False)]
    assert all(isinstance(each, kind) for each in both)
    targets = drawn(M, Q, 3, seed=3)
    torch.testing.assert_close(both[1].mean, both[0].mean)
    torch.testing.assert_close(both[1].log_prob(targets), both[0].log_prob(targets))


def test_no_graph_is_kept(pictures) -> None:
    theta_M, support, query = pictures
    for transductive in (False, True):
        assert not predicted(
            FeedForward(CONV, theta_M.requires_grad_()), support, query, transductive
        ).logits.requires_grad
