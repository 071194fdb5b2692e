"""The neural statistician: its bound of torch's modules and distributions, what does not change it, that it learns."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from maml_rl.algorithms.statistician import (
    NeuralStatistician,
    Noise,
    StatisticianOptions,
    bound_terms,
    by_divergence,
    divergences,
    draw_noise,
    random_parts,
    sampled,
)
from maml_rl.envs import KeyedGenerator
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.machine.threads import one_torch_thread
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.distributions import Gaussian
from maml_rl.models.model import chosen_parameters
from maml_rl.models.parameters import unflatten
from maml_rl.models.statistician import Statistician
from maml_rl.supervised.episode_metrics import episode_metrics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.examples import Examples
from maml_rl.supervised.omniglot import omniglot
from tests.maml_rl.finite_differences import gradient

D = torch.float64
WAYS, SHOTS = 3, 2
SEEN = [1, 1, 0, 1, 1, 0]  # of the pictures of three classes by q(c|D) in training
TINY = Statistician((1, 7, 6), filters=2, blocks=2, hidden_size=5, context_width=4, latent_size=3)
SMALL = Statistician(filters=4, hidden_size=32, context_width=16, latent_size=4)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def parameters(model: Statistician = TINY, tasks: int = 2) -> torch.Tensor:
    """theta_M [M, P], in which nothing is 0 or 1, the variances positive."""
    theta = model.initial_parameters(KeyedGenerator(0)).double()
    return theta + 0.1 * drawn(tasks, len(theta), seed=3).abs()


def support(tasks: int = 2) -> Examples:
    targets = torch.eye(WAYS, dtype=D).repeat_interleave(SHOTS, dim=0).expand(tasks, -1, -1)
    return Examples.of((drawn(tasks, WAYS * SHOTS, *TINY.image_shape, seed=1) > 0).double(), targets)


def noise(tasks: int = 2) -> Noise:
    c, z = drawn(tasks, WAYS, TINY.context_width, seed=4), drawn(tasks, WAYS * SHOTS, TINY.latent_size, seed=5)
    return Noise(c, z, torch.tensor(SEEN, dtype=D).expand(tasks, -1))


def episodes(model=SMALL, num_tasks: int = 2, iteration: int = 0, first: int = 0, all_tasks: int = 0) -> Episodes:
    """Tasks first, first + 1, ... of an iteration."""
    data = omniglot("finn", 5)
    return Episodes(
        model,
        data,
        data.sample_tasks("train", first + num_tasks, KeyedGenerator(2, iteration))[first:],
        Draws(Purpose.EPISODES, 1, iteration, first),
        shots=5,
        queries=2,
        steps=1,
        mean=TaskMean(all_tasks or num_tasks),
        random=np.random.default_rng(iteration),
    )


class Oracle:
    """The networks of one task of torch's modules, in training mode or not."""

    def __init__(self, model: Statistician, theta: torch.Tensor, training: bool) -> None:
        self.parts = {name: part[0] for name, part in unflatten(model.parameter_shapes, theta[None]).items()}
        self.model, self.training, self.norms = model, training, dict[str, Any]()

    def normal(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        of = nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d
        norm = self.norms[layer] = of(x.shape[1]).double().train(self.training).requires_grad_(False)
        norm.weight[:], norm.bias[:] = self.parts[f"{layer}.scale"], self.parts[f"{layer}.shift"]
        norm.running_mean = self.parts[f"{layer}.mean"].clone()
        norm.running_var = self.parts[f"{layer}.variance"].clone()
        return nn.functional.elu(norm(x))

    def linear(self, layer: str, x: torch.Tensor, *names: str) -> torch.Tensor:
        """One layer whose weights are the named ones, one above another."""
        return self.normal(layer, x @ torch.cat([self.parts[f"{layer}.{name}"] for name in names]))

    def gaussian(self, network: str, x: torch.Tensor, *beside: str) -> Normal:
        for layer in (1, 2):
            x = self.linear(f"{network}.{layer}", x, "weight", *(beside if layer == 1 else ()))
        out = x @ self.parts[f"{network}.output.weight"] + self.parts[f"{network}.output.bias"]
        size = out.shape[1] // 2
        return Normal(out[:, :size], out[:, size:].exp().sqrt())

    def encoded(self, images: torch.Tensor) -> torch.Tensor:
        for block in range(self.model.blocks):
            for layer, stride in enumerate((1, 1, 2)):
                name = f"encoder{block}.{layer}"
                images = nn.functional.conv2d(images, self.parts[f"{name}.weight"], stride=stride, padding=1)
                images = self.normal(name, images)
        return images.flatten(1)

    def context(self, encoded: torch.Tensor, sets: list[list[int]]) -> Normal:
        of_each = self.linear("statistics.0", encoded, "image")
        means = torch.stack([of_each[each].mean(dim=0) for each in sets])
        return self.gaussian(
            "statistics", torch.cat([means, 1 / of_each.new_tensor([[len(each)] for each in sets])], 1), "size"
        )

    def decoded(self, c: torch.Tensor, z: torch.Tensor) -> Bernoulli:
        x = self.linear("decoder.0", torch.cat([c, z], dim=1), "context", "latent") @ self.parts["decoder.1.weight"]
        x = self.normal("decoder.1", x.view(len(x), -1, 2, 2))
        for block, (height, width) in ((1, (4, 3)), (0, (7, 6))):
            for layer in (0, 1):
                name = f"decoder{block}.{layer}"
                x = self.normal(name, nn.functional.conv2d(x, self.parts[f"{name}.weight"], padding=1))
            name = f"decoder{block}.2"
            x = nn.functional.conv_transpose2d(x, self.parts[f"{name}.weight"], stride=2)
            x = self.normal(name, x[:, :, :height, :width])
        return Bernoulli(
            logits=nn.functional.conv2d(x, self.parts["decoder.output.weight"], self.parts["decoder.output.bias"])
        )


SETS = [[SHOTS * n + i for i in range(SHOTS)] for n in range(WAYS)]


@pytest.mark.parametrize("training", [True, False])
def test_the_bound_s_terms_are_those_of_torch(training) -> None:
    theta_M, given, draws = parameters(), support(), noise()
    networks = (TINY.learning if training else TINY.networks)(theta_M)
    terms = bound_terms(networks, given, draws)
    for task in range(2):
        oracle, images = Oracle(TINY, theta_M[task], training), given.inputs[task]
        encoded = oracle.encoded(images)
        q_c = oracle.context(encoded, [[i for i in each if SEEN[i]] for each in SETS])
        c = q_c.mean + q_c.stddev * draws.c[task]
        of_each = torch.stack([c[n] for n in range(WAYS) for _ in range(SHOTS)])
        joined = oracle.linear("inference.0", torch.cat([encoded, of_each], dim=1), "image", "context")
        q_z = oracle.gaussian("inference", joined)
        z = q_z.mean + q_z.stddev * draws.z[task]
        p_z = oracle.gaussian("prior", oracle.linear("prior.0", c, "context"))
        p_x = oracle.decoded(of_each, z)
        reconstruction = kl_z = kl_c = 0.0
        for n, members in enumerate(SETS):
            kl_c += float(kl_divergence(Normal(q_c.mean[n], q_c.stddev[n]), Normal(0.0, 1.0)).sum())
            for i in members:
                reconstruction += float(p_x.log_prob(images)[i].sum())
                prior = Normal(p_z.mean[n], p_z.stddev[n])
                kl_z += float(kl_divergence(Normal(q_z.mean[i], q_z.stddev[i]), prior).sum())
        expected = [each / (WAYS * SHOTS) for each in (reconstruction, kl_z, kl_c)]
        assert [float(each[task]) for each in terms] == pytest.approx(expected, rel=1e-9)
        if training:  # and so are the averages that are kept
            sizes = [torch.Size(TINY.parameter_shapes[name]).numel() for name in TINY.statistics]
            met = dict(zip(TINY.statistics, networks.met()[task].split(sizes), strict=True))
            for layer, norm in oracle.norms.items():
                for name, expected in (("mean", norm.running_mean), ("variance", norm.running_var)):
                    kept = oracle.parts[f"{layer}.{name}"].lerp(met[f"{layer}.{name}"], 0.1)
                    torch.testing.assert_close(kept, expected)


def test_classes_are_told_by_the_divergence_of_torch_s_contexts() -> None:
    theta_M, given, asked = parameters(), support(), (drawn(2, 4, *TINY.image_shape, seed=9) > 0).double()
    at = TINY.at(theta_M)
    found = by_divergence(TINY)(theta_M, at(given.inputs).mean, given.targets, at(asked).mean).logits
    for task in range(2):
        oracle = Oracle(TINY, theta_M[task], training=False)
        known = oracle.context(oracle.encoded(given.inputs[task]), SETS)
        of_queries = oracle.context(oracle.encoded(asked[task]), [[q] for q in range(4)])
        for q in range(4):
            of_query = Normal(of_queries.mean[q], of_queries.stddev[q])
            expected = -kl_divergence(known, of_query).sum(dim=1)
            torch.testing.assert_close(found[task, q], expected, rtol=1e-9, atol=1e-9)


def test_divergences_of_pairs_are_the_gaussians_own() -> None:
    one, other = (Gaussian(drawn(2, n, 5, seed=n), 0.3 * drawn(2, n, 5, seed=10 + n)) for n in (3, 4))
    for q in range(4):
        query = Gaussian(*(part[:, q : q + 1] for part in other))
        torch.testing.assert_close(divergences(one, other)[:, q], one.kl_to(query))
    assert divergences(one, one).diagonal(dim1=1, dim2=2).abs().max() < 1e-12


def test_neither_order_nor_labels_matter() -> None:
    theta_M, given, draws = parameters(), support(), noise()
    plain = bound_terms(TINY.learning(theta_M), given, draws)
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    shuffled = Examples.of(given.inputs[:, order], given.targets[:, order])
    renamed = Examples.of(given.inputs, given.targets[:, :, [2, 0, 1]])
    for other, noisy in (
        (shuffled, Noise(draws.c, draws.z[:, order], draws.seen[:, order])),
        (renamed, draws._replace(c=draws.c[:, [2, 0, 1]])),
    ):
        for one, term in zip(plain, bound_terms(TINY.learning(theta_M), other, noisy), strict=True):
            torch.testing.assert_close(term, one)
    at, asked = TINY.at(theta_M), given.inputs[:, :2]
    classes = [
        by_divergence(TINY)(theta_M, at(each.inputs).mean, each.targets, at(asked).mean).logits
        for each in (given, shuffled, renamed)
    ]
    torch.testing.assert_close(classes[1], classes[0])
    torch.testing.assert_close(classes[2], classes[0][:, :, [2, 0, 1]])


def test_tasks_at_once_are_tasks_one_by_one() -> None:
    theta_M, given, draws = parameters(), support(), noise()
    networks = TINY.learning(theta_M)
    terms = bound_terms(networks, given, draws)
    for task in range(2):
        rows = slice(task, task + 1)
        alone = TINY.learning(theta_M[rows])
        for one, all_of_them in zip(bound_terms(alone, given.rows(rows), draws.rows(rows)), terms, strict=True):
            torch.testing.assert_close(one, all_of_them[rows])
        torch.testing.assert_close(alone.met(), networks.met()[rows])


def test_a_task_s_noise_depends_on_no_other_task() -> None:
    together = draw_noise(problem := episodes(num_tasks=3), problem.sets[0], True)
    apart = draw_noise(problem := episodes(num_tasks=1, first=2), problem.sets[0], True)
    assert torch.equal(apart.c[0], together.c[2])
    assert torch.equal(apart.z[0], together.z[2])
    assert torch.equal(apart.seen[0], together.seen[2])
    assert together.c.flatten(1).unique(dim=0).shape[0] == 3
    later = draw_noise(problem := episodes(iteration=1), problem.sets[0], True)
    assert not torch.equal(later.c[0], together.c[0])


def test_a_set_s_random_part_has_each_size_as_often_and_each_picture() -> None:
    targets = torch.eye(3, dtype=D).repeat_interleave(4, dim=0)[torch.randperm(12)].expand(4000, -1, -1)
    generator = KeyedGenerator(7)
    seen = random_parts(targets, generator.uniform(4000, 12), generator.uniform(4000, 3))
    sizes = (targets * seen[..., None]).sum(dim=1)  # [4000, 3]
    for size in (1, 2, 3, 4):
        assert float((sizes == size).double().mean()) == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(seen.mean(dim=0), 2.5 / 4, atol=0.04)
    problem = episodes()
    assert draw_noise(problem, problem.sets[0], False).seen.all()
    assert not draw_noise(problem, problem.sets[0], True).seen.all()


@dataclasses.dataclass(frozen=True)
class Given:
    """These examples, as support and as query sets."""

    given: Examples
    classifies = True

    def examples(self, *_) -> tuple[Examples, Examples]:
        return self.given, self.given


@pytest.mark.parametrize(("t", "weight"), [(0, 2.0), (1, 2.0), (2, 1.5), (4, 1.25)])
def test_the_update_is_adam_on_finite_differences_and_weighs_by_the_epoch(t, weight) -> None:
    algorithm, given, start = NeuralStatistician(StatisticianOptions(meta_lr=0.01, epoch=2)), support(), parameters()[0]
    problem = dataclasses.replace(episodes(TINY), data=Given(given))
    draws = draw_noise(dataclasses.replace(problem, random=np.random.default_rng(0)), given, True)
    state = {name: part.double() for name, part in algorithm.init(TINY, KeyedGenerator(0)).items()}
    after, metrics = algorithm.update(state | {"theta": start, "adam.t": torch.tensor(t, dtype=D)}, problem)

    def terms(theta: torch.Tensor) -> list[float]:
        """Means over the tasks."""
        return torch.stack(bound_terms(TINY.learning(theta.expand(2, -1)), given, draws)).mean(dim=1).tolist()

    def loss(theta: torch.Tensor) -> float:
        reconstruction, kl_z, kl_c = terms(theta)
        return -(weight * reconstruction - (kl_z + kl_c) / weight)

    reconstruction, kl_z, kl_c = terms(start)
    expected = {"bound": reconstruction - kl_z - kl_c, "reconstruction": reconstruction, "kl_z": kl_z, "kl_c": kl_c}
    assert metrics == pytest.approx({f"statistician/{name}": x for name, x in expected.items()}, rel=1e-9)
    kept = chosen_parameters(TINY, TINY.statistics, start).bool()
    some = (~kept).nonzero()[::12, 0]  # of every layer
    # Normalisation over few sets bends the loss so much that a step of 1e-5 leaves a truncation error of 1e-4; a
    # hundredth of it is left by 1e-6, beside a rounding error near 1e-8.
    slopes = gradient(lambda x: loss(start.index_copy(0, some, x)), start[some], h=1e-6)
    torch.testing.assert_close(after["adam.m"][some] / 0.1, slopes, rtol=1e-5, atol=1e-6)
    assert (after["adam.m"][kept] == 0).all()
    assert (after["theta"] != start)[kept].all()


def test_it_learns() -> None:
    algorithm = NeuralStatistician(StatisticianOptions(meta_lr=3e-3, epoch=10))
    state, bounds, found = algorithm.init(SMALL, KeyedGenerator(1)), [], []
    with one_torch_thread():
        for iteration in range(60):
            problem = episodes(SMALL, 2, iteration)
            before, (state, metrics) = state, algorithm.update(state, problem)
            bounds.append(metrics["statistician/bound"])
            if iteration >= 50:
                found.append(episode_metrics(problem, algorithm, before, state))
    assert np.mean(bounds[-5:]) > np.mean(bounds[:5]) + 100  # of 784 log 2 = 543 nats to begin with
    assert np.mean([row["accuracy/pre"] for row in found]) == pytest.approx(0.2)
    assert np.mean([row["accuracy/post"] for row in found]) > 0.35


def test_samples_are_the_decoder_s_of_the_context_s_mean() -> None:
    theta_M, given = parameters(), support()
    draws = drawn(2, WAYS, 4, TINY.latent_size, seed=8)
    pictures = sampled(TINY.networks(theta_M), given, draws)
    assert pictures.shape == (2, WAYS, 4, *TINY.image_shape)
    oracle = Oracle(TINY, theta_M[1], training=False)
    c = oracle.context(oracle.encoded(given.inputs[1]), SETS).mean
    p_z = oracle.gaussian("prior", oracle.linear("prior.0", c, "context"))
    for n in range(WAYS):
        z = p_z.mean[n] + p_z.stddev[n] * draws[1, n]
        torch.testing.assert_close(pictures[1, n], oracle.decoded(c[n].expand(4, -1), z).mean)


def test_the_authors_sizes() -> None:
    options = StatisticianOptions()
    model = Statistician(hidden_size=options.hidden_size)
    assert (options.context_width, options.latent_size) == (model.context_width, model.latent_size) == (512, 16)
    assert model.last_maps == (256, 4, 4)
    convolutions = [name for name in model.weight_shapes if name.startswith("encoder")]
    assert len(convolutions) == 9
    assert model.output_shapes["statistics.output.weight"] == (256, 1024)
