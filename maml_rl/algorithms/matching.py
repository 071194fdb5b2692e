"""Matching networks: attention over the support set tells a query's class (Vinyals et al. 2016, eq. 1 and 2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import normalize

from maml_rl.envs import KeyedGenerator
from maml_rl.meta.adam import adam_start
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.problem import Problem
from maml_rl.meta.shared_step import SharedStepOptions
from maml_rl.models.distributions import Categorical
from maml_rl.models.embedding import ConvEmbedding, embedding_of
from maml_rl.models.full_context import FullContext
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Within
from maml_rl.supervised.comparison import Compare, comparison_step, looks_at_support


@dataclass(frozen=True)
class MatchingOptions(SharedStepOptions):
    """Options of matching networks."""

    full_context: bool = False
    """Whether the embeddings of a support set depend on all of it, by a bidirectional LSTM, and those of a query on the
    support set too, by an LSTM with attention (Vinyals et al. 2016, appendix A)."""
    context_steps: Annotated[int, Within(1, 100)] = 5
    """Steps of the LSTM with attention."""
    attention_scale: Annotated[float, Within(0, open_low=True)] = 10.0
    """Cosines are multiplied by it before the softmax (the paper: 1, with which it is nearly flat)."""


def with_context_of_support(model: Model, options: MatchingOptions) -> ConvEmbedding | FullContext:
    """The embedding of a classifier, with LSTMs behind it if it is to see the whole support set. Raises UsageError."""
    embedding = embedding_of(model)
    return FullContext(embedding, options.context_steps) if options.full_context else embedding


@dataclass(frozen=True)
class Matching:
    """p(class) is the attention that a query pays to the class's examples: a softmax of scaled cosines.

    A step of adaptation is a look at the support set.
    """

    options: MatchingOptions
    trained_steps = 1

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        return {"theta": theta, **adam_start(theta)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        return comparison_step(problem, state, self.compare(problem.model), self.options)

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        return looks_at_support(problem, state, self.compare(problem.model), steps, first)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return []

    def compare(self, model: Model) -> Compare:
        """From embeddings to classes, in the context of the support set if the model has one."""

        def by_attention(theta_M: Tensor, known: Tensor, targets: Tensor, asked: Tensor) -> Categorical:
            if isinstance(model, FullContext):
                known, asked = model.in_context(theta_M, known, asked)
            return attention(known, targets, asked, self.options.attention_scale)

        return by_attention


def attention(known: Tensor, targets: Tensor, asked: Tensor, scale: float) -> Categorical:
    """log p(class) = log of the sum of a(x, x_i) over the class's examples x_i, a = softmax(scale * cosine).

    known: [M, S, D]. targets: [M, S, ways], one-hot. asked: [M, Q, D]. A class without examples has probability 0.
    """
    cosines = normalize(asked, dim=2) @ normalize(known, dim=2).transpose(1, 2)  # [M, Q, S]
    log_a = (scale * cosines).log_softmax(dim=2)[..., None]  # [M, Q, S, 1]
    others = torch.where(targets[:, None] > 0, 0.0, -torch.inf).to(log_a.dtype)  # [M, 1, S, ways]
    return Categorical((log_a + others).logsumexp(dim=2).clamp(min=torch.finfo(log_a.dtype).min))
