"""Learners that compare embeddings: their losses in plain numbers, what does not change them, and that they learn."""

from math import exp, log

import numpy as np
import pytest
import torch

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.algorithms.matching import Matching, MatchingOptions, attention
from maml_rl.algorithms.prototypical import Prototypical, PrototypicalOptions, by_distance
from maml_rl.envs import KeyedGenerator
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.machine.threads import one_torch_thread
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.embedding import ConvEmbedding
from maml_rl.models.full_context import FullContext
from maml_rl.models.parameters import unflatten
from maml_rl.supervised.episode_metrics import episode_metrics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.omniglot import omniglot

D = torch.float64
EMBEDDING = ConvEmbedding(filters=4, blocks=3)
LEARNERS = {
    "prototypical": (Prototypical(PrototypicalOptions(meta_lr=0.01)), EMBEDDING),
    "matching": (Matching(MatchingOptions(meta_lr=0.01)), EMBEDDING),
    "full-context": (Matching(MatchingOptions(meta_lr=0.01, full_context=True)), FullContext(EMBEDDING, 2)),
}


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def sets(ways: int = 3, shots: int = 2, queries: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings of support sets [2, S, 5], their classes, embeddings of queries."""
    targets = torch.eye(ways, dtype=D).repeat_interleave(shots, dim=0).expand(2, -1, -1)
    return drawn(2, ways * shots, 5), targets, drawn(2, queries, 5, seed=1)


def episodes(model, num_tasks: int = 2, iteration: int = 0, ways: int = 3) -> Episodes:
    data = omniglot("vinyals", ways)
    return Episodes(
        model,
        data,
        data.sample_tasks("train", num_tasks, KeyedGenerator(2, iteration)),
        Draws(Purpose.EPISODES, 1, iteration),
        shots=1,
        queries=3,
        steps=1,
        mean=TaskMean(num_tasks),
        random=np.random.default_rng(0),
    )


def test_prototypes_in_plain_numbers() -> None:
    known, targets, asked = sets()
    found = by_distance(known[:, :0], known, targets, asked).logits.log_softmax(dim=2)
    for task in range(2):
        centres = [sum(known[task, 2 * n + i] for i in range(2)) / 2 for n in range(3)]
        for q in range(4):
            scores = [exp(-float(((asked[task, q] - centre) ** 2).sum())) for centre in centres]
            for n, score in enumerate(scores):
                assert float(found[task, q, n]) == pytest.approx(log(score / sum(scores)), rel=1e-9)


def test_attention_in_plain_numbers() -> None:
    known, targets, asked = sets()
    found = attention(known, targets, asked, scale=3.0).logits.exp()
    for task in range(2):
        for q in range(4):
            x = asked[task, q]
            weights = [exp(3 * float(x @ y / x.norm() / y.norm())) for y in known[task]]
            for n in range(3):
                expected = (weights[2 * n] + weights[2 * n + 1]) / sum(weights)
                assert float(found[task, q, n]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "compare", [by_distance, lambda _, *sets: attention(*sets, scale=10.0)], ids=["mean", "cosine"]
)
def test_neither_order_nor_labels_matter(compare) -> None:
    known, targets, asked = sets()
    plain = compare(known[:, :0], known, targets, asked).logits.softmax(dim=2)
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    shuffled = compare(known[:, :0], known[:, order], targets[:, order], asked).logits.softmax(dim=2)
    torch.testing.assert_close(shuffled, plain)
    renamed = compare(known[:, :0], known, targets[:, :, [2, 0, 1]], asked).logits.softmax(dim=2)
    torch.testing.assert_close(renamed, plain[:, :, [2, 0, 1]])
    twice = compare(known[:, :0], known.repeat(1, 2, 1), targets.repeat(1, 2, 1), asked).logits.softmax(dim=2)
    torch.testing.assert_close(twice, plain)


def test_a_class_without_examples_is_never_chosen() -> None:
    known, targets, asked = sets()
    targets = torch.cat([targets, torch.zeros(2, 6, 1, dtype=D)], dim=2)
    logits = attention(known, targets, asked, scale=1.0).logits
    assert torch.isfinite(logits).all()
    assert (logits.softmax(dim=2)[..., 3] == 0).all()


def test_an_embedding_s_statistics_are_those_of_torch() -> None:
    model = ConvEmbedding((1, 8, 8), filters=3, blocks=1)
    theta = model.initial_parameters(KeyedGenerator(0)).double()
    images = drawn(2, 6, 1, 8, 8)
    batch_norm = torch.nn.BatchNorm2d(3).double()
    weight = theta[:27].view(3, 1, 3, 3)
    point, statistics = model.learning(theta.expand(2, -1))(images)
    for task in range(2):
        batch_norm.reset_running_stats()
        maps = torch.nn.functional.conv2d(images[task], weight, padding=1)
        expected = torch.nn.functional.max_pool2d(batch_norm(maps).relu(), 2).flatten(1)
        torch.testing.assert_close(point.mean[task], expected)
        kept = theta[-6:].lerp(statistics[task], 0.1)
        torch.testing.assert_close(kept, torch.cat([batch_norm.running_mean, batch_norm.running_var]))


def test_the_lstms_are_torch_s() -> None:
    model = FullContext(ConvEmbedding((1, 8, 8), filters=2, blocks=2))
    size = model.embedding.size
    theta = model.initial_parameters(KeyedGenerator(0)).double()
    theta += 0.1 * drawn(len(theta))
    known, asked = drawn(1, 4, size), drawn(1, 3, size, seed=1)
    weights = unflatten(model.lstm_shapes, theta[None, model.embedding.num_parameters :])
    lstm = torch.nn.LSTM(size, size, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        for name, suffix in (("forward", ""), ("backward", "_reverse")):
            getattr(lstm, f"weight_ih_l0{suffix}").copy_(weights[f"{name}.input"][0].T)
            getattr(lstm, f"weight_hh_l0{suffix}").copy_(weights[f"{name}.memory"][0].T)
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(weights[f"{name}.bias"][0])
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
        both, _ = lstm(known)
    g, h = model.in_context(theta[None], known, asked)
    torch.testing.assert_close(g, known + both[..., :size] + both[..., size:])
    assert h.shape == asked.shape
    alone = model.in_context(theta[None], known, asked[:, :1])[1]
    torch.testing.assert_close(alone, h[:, :1])  # a query's embedding depends on no other query


@pytest.mark.parametrize("name", LEARNERS)
def test_the_update_is_adam_on_autograd_s_gradient(name) -> None:
    algorithm, model = LEARNERS[name]
    state = {key: part.double() for key, part in algorithm.init(model, KeyedGenerator(1)).items()}
    problem = episodes(model)
    after, metrics = algorithm.update(state, problem)
    theta = state["theta"].clone().requires_grad_()
    support, query = (each.to(theta.device, D) for each in problem.sets)
    losses = []
    for i in range(2):  # task by task
        known, asked = support.rows(slice(i, i + 1)), query.rows(slice(i, i + 1))
        points, _ = model.learning(theta[None])(torch.cat([known.inputs, asked.inputs], dim=1))
        compare = by_distance if name == "prototypical" else algorithm.compare(model)
        classes = compare(theta[None], points.mean[:, :3], known.targets, points.mean[:, 3:])
        losses.append(torch.nn.functional.cross_entropy(classes.logits[0], asked.targets[0].argmax(dim=1)))
    loss = torch.stack(losses).mean()
    loss.backward()
    assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=1e-10)
    oracle = torch.nn.Parameter(state["theta"].clone())
    oracle.grad = theta.grad
    torch.optim.Adam([oracle], lr=0.01).step()
    moved = torch.cat(
        [
            torch.full(shape, "mean" not in key and "variance" not in key).flatten()
            for key, shape in model.parameter_shapes.items()
        ]
    )
    torch.testing.assert_close(after["theta"][moved], oracle.detach()[moved], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LEARNERS)
def test_they_learn_to_tell_characters_apart(name) -> None:
    algorithm, model = LEARNERS[name]
    state, found = algorithm.init(model, KeyedGenerator(1)), []
    with one_torch_thread():
        for iteration in range(60):
            problem = episodes(model, 4, iteration, ways=5)
            before, (state, _) = state, algorithm.update(state, problem)
            if iteration >= 50 or iteration < 10:
                found.append(episode_metrics(problem, algorithm, before, state))
    assert np.mean([row["accuracy/pre"] for row in found]) == pytest.approx(0.2)
    assert np.mean([row["loss/post"] for row in found[-10:]]) < np.mean([row["loss/post"] for row in found[:10]]) - 0.2
    assert np.mean([row["accuracy/post"] for row in found[-10:]]) > 0.5


def test_the_step_size_is_halved() -> None:
    algorithm = Prototypical(PrototypicalOptions(meta_lr=0.01, halve_every=1))
    state = algorithm.init(EMBEDDING, KeyedGenerator(1))
    plain = Prototypical(PrototypicalOptions(meta_lr=0.01)).update(
        state | {"adam.t": torch.tensor(2.0)}, episodes(EMBEDDING)
    )[0]
    halved = algorithm.update(state | {"adam.t": torch.tensor(2.0)}, episodes(EMBEDDING))[0]
    moved = torch.arange(len(state["theta"])) < 36  # the first filters
    way, short = ((each["theta"] - state["theta"])[moved] for each in (plain, halved))
    torch.testing.assert_close(short, way / 4, rtol=1e-3, atol=1e-7)


def test_they_are_in_the_catalogue_for_pictures_alone() -> None:
    names = {"prototypical", "matching", "statistician", "memory"}
    assert {name for name, entry in ALGORITHMS.items() if entry.any_ways} == names
    assert all(ALGORITHMS[name].sides == ("data",) for name in names)
