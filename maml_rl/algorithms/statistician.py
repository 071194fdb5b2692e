"""The neural statistician: a variational model of sets, with a context for each (Edwards & Storkey 2017)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from maml_rl.envs import KeyedGenerator
from maml_rl.machine.keys import Purpose, keyed
from maml_rl.meta.adam import adam_start
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.problem import Problem
from maml_rl.meta.shared_step import SharedStepOptions, shared_step
from maml_rl.models.distributions import Categorical, Gaussian
from maml_rl.models.model import Model
from maml_rl.models.statistician import Networks, Statistician, statistician_of
from maml_rl.schema.bounds import Count, Within
from maml_rl.supervised.comparison import Compare, class_means, examples, looks_at_support, with_statistics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.examples import Examples

Size = Annotated[int, Within(1, 10_000)]


@dataclass(frozen=True)
class StatisticianOptions(SharedStepOptions):
    """Options of the neural statistician."""

    halve_every: Count = 1_000_000
    """Iterations after which the step size is halved, again and again; the authors leave it as it is."""
    hidden_size: Size = 256
    """Width of the fully connected layers."""
    context_width: Size = 512
    """Numbers of a set's context c."""
    latent_size: Size = 16
    """Numbers of a picture's latent variable z."""
    sample_dropout: bool = True
    """Whether q(c|D) sees a random part of each set in training, 1 to all of its pictures: in tests a query is a set of
    a single one."""
    epoch: Count = 275
    """Iterations of an epoch e = 0, 1, ... Training weighs log p(x|z, c) by w = 1 + 0.5^e and the divergences by 1 / w;
    the default is one look at each of 1,100 characters' 20 drawings, in 16 sets of 5 an iteration."""


def with_networks(model: Model, options: StatisticianOptions) -> Statistician:
    """The networks for a classifier's pictures, with its filters and blocks. Raises UsageError."""
    return statistician_of(model, options.hidden_size, options.context_width, options.latent_size)


class Noise(NamedTuple):
    """What an iteration draws: standard normal numbers for samples of c and z, and the pictures that q(c|D) sees."""

    c: Tensor  # [M, ways, C]
    z: Tensor  # [M, S, Z]
    seen: Tensor  # [M, S], 1 or 0

    def rows(self, tasks: slice) -> "Noise":
        """Of some of the tasks."""
        return Noise(*(part[tasks] for part in self))


class Terms(NamedTuple):
    """The terms of the bound on log p(D), means over the drawings of a task's sets D: nats per drawing, [M]."""

    reconstruction: Tensor  # log p(x|z, c)
    kl_z: Tensor  # KL(q(z|c, x) || p(z|c))
    kl_c: Tensor  # KL(q(c|D) || N(0, I)), which a set's drawings share


@dataclass(frozen=True)
class NeuralStatistician:
    """The classes of a support set are sets D; a query is of the class whose q(c|D) diverges least from its q(c|x).

    A step of adaptation is a look at the support set.
    """

    options: StatisticianOptions
    trained_steps = 1

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **adam_start(theta)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        theta, model = state["theta"], cast(Statistician, problem.model)
        support = examples(problem, theta.expand(problem.num_tasks, -1), 0)
        noise = draw_noise(problem, support, self.options.sample_dropout)
        # As github.com/conormdurkan/neural-statistician weighs them; the paper does not.
        weight = 1 + 0.5 ** (int(state["adam.t"]) // self.options.epoch)

        def loss(theta_M: Tensor, tasks: slice) -> tuple[Tensor, Tensor]:
            networks = model.learning(theta_M)
            terms = bound_terms(networks, support.rows(tasks), noise.rows(tasks))
            losses = (terms.kl_z + terms.kl_c) / weight - weight * terms.reconstruction
            return losses, torch.cat([torch.stack(terms, dim=1), networks.met()], dim=1)

        with problem.watch("outer"):
            step = shared_step(problem, state, loss, support, self.options)
            terms, statistics = step.beside.tensor_split([len(Terms._fields)])
            moved = with_statistics(model, theta, step.theta, statistics)
        found = dict(zip(Terms._fields, terms.tolist(), strict=True))
        bound = found["reconstruction"] - found["kl_z"] - found["kl_c"]
        metrics: Metrics = {"statistician/bound": bound} | {f"statistician/{name}": x for name, x in found.items()}
        return {"theta": moved, **step.moments}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return looks_at_support(problem, state, by_divergence(cast(Statistician, problem.model)), steps, first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return []


def draw_noise(problem: Problem, support: Examples, sample_dropout: bool) -> Noise:
    """Each task's noise has a stream of its own: it does not depend on how the tasks are divided among the ranks."""
    model, M, (S, ways) = cast(Statistician, problem.model), problem.num_tasks, support.targets.shape[1:]
    draws = cast(Episodes, problem).draws
    generator = keyed(Purpose.LATENTS, draws.seed, draws.iteration, first_task=draws.first_task)
    c, z = generator.normal(M, ways, model.context_width), generator.normal(M, S, model.latent_size)
    seen = torch.ones(M, S)
    if sample_dropout:
        seen = random_parts(support.targets.cpu(), generator.uniform(M, S), generator.uniform(M, ways))
    return Noise(*(part.to(support.inputs) for part in (c, z, seen)))


def random_parts(targets: Tensor, order: Tensor, sizes: Tensor) -> Tensor:
    """[M, S], 1 for the examples of each class that are in its random part, 0 for the others.

    The part's size is 1, 2, ... or all, each as likely (Edwards & Storkey 2017: sample dropout). targets: [M, S, ways],
    one-hot. order: uniform draws [M, S]. sizes: uniform draws [M, ways].
    """
    same = targets @ targets.transpose(1, 2)  # [M, S, S]
    rank = (same * (order[:, None] < order[:, :, None])).sum(dim=2)  # [M, S], of each within its class
    kept = 1 + (sizes * targets.sum(dim=1)).floor()  # [M, ways]
    return (rank < (targets @ kept.to(targets)[..., None])[..., 0]).to(targets)


def bound_terms(networks: Networks, support: Examples, noise: Noise) -> Terms:
    """The terms of E log p(x|z, c) - KL(q(z|c, x) || p(z|c)) - KL(q(c|D) || N(0, I)) (Edwards & Storkey 2017).

    One sample of c for each class's set D, and one of z for each drawing. Of D q(c|D) sees what noise.seen says.
    """
    images, targets = support.inputs, support.targets  # [M, S, C, H, W], [M, S, ways]
    encoded = networks.encoded(images)
    of_sets = context_of(networks, networks.pooled(encoded), targets * noise.seen[..., None])  # [M, ways, C]
    c = of_sets.sample(noise.c)
    c_of_each = targets @ c  # [M, S, C]
    of_each = networks.posterior(encoded, c_of_each)  # [M, S, Z]
    z = of_each.sample(noise.z)
    prior = Gaussian(*(targets @ part for part in networks.prior(c)))
    logits = networks.decoded(c_of_each, z)
    log_p = -binary_cross_entropy_with_logits(logits, images, reduction="none").sum(dim=(2, 3, 4))  # [M, S]
    standard = Gaussian(torch.zeros_like(of_sets.mean), torch.zeros_like(of_sets.log_std))
    kl_c = of_sets.kl_to(standard).sum(dim=1) / images.shape[1]
    return Terms(log_p.mean(dim=1), of_each.kl_to(prior).mean(dim=1), kl_c)


def context_of(networks: Networks, pooled: Tensor, targets: Tensor) -> Gaussian:
    """q(c|D) [M, ways, C] of each class's set. pooled: [M, S, hidden_size]. targets: [M, S, ways], one-hot, or 0."""
    return networks.context(class_means(pooled, targets), targets.sum(dim=1).clamp(min=1))


def by_divergence(model: Statistician) -> Compare:
    """From `Statistician.at`'s numbers to classes: logits -KL(q(c|D_n) || q(c|x)) (Edwards & Storkey 2017)."""

    def compare(theta_M: Tensor, known: Tensor, targets: Tensor, asked: Tensor) -> Categorical:
        networks = model.networks(theta_M)
        of_queries = networks.context(asked, torch.ones_like(asked[..., 0]))
        return Categorical(-divergences(context_of(networks, known, targets), of_queries))

    return compare


def divergences(of_sets: Gaussian, of_queries: Gaussian) -> Tensor:
    """KL(set n || query q) [M, Q, ways] of all pairs, nats, by products of matrices.

    of_sets: [M, ways, C]. of_queries: [M, Q, C].
    """
    precision = (-2 * of_queries.log_std).exp()
    scaled = of_queries.mean * precision
    second = (2 * of_sets.log_std).exp() + of_sets.mean.square()
    of_pairs = precision @ second.transpose(1, 2) - 2 * scaled @ of_sets.mean.transpose(1, 2)
    of_query = (scaled * of_queries.mean + 2 * of_queries.log_std - 1).sum(dim=2, keepdim=True)
    return 0.5 * (of_pairs + of_query) - of_sets.log_std.sum(dim=2)[:, None]


def sampled(networks: Networks, support: Examples, noise: Tensor) -> Tensor:
    """Pictures [M, ways, n, C, H, W] of each class's set: pixel means of p(x|z, c), z ~ p(z|c), c the mean of q(c|D).

    noise: standard normal, [M, ways, n, Z].
    """
    pooled = networks.pooled(networks.encoded(support.inputs))
    c = context_of(networks, pooled, support.targets).mean.repeat_interleave(noise.shape[2], dim=1)  # [M, ways n, C]
    pixels = networks.decoded(c, networks.prior(c).sample(noise.flatten(1, 2))).sigmoid()
    return pixels.unflatten(1, noise.shape[1:3])
