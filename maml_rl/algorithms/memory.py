"""Learning to remember rare events: a network learns the keys of a life-long memory (Kaiser et al. 2017)."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Annotated, cast

import numpy as np
import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.meta import algorithm as meta
from maml_rl.meta.adam import adam_start
from maml_rl.meta.algorithm import Actor, Metrics, State
from maml_rl.meta.problem import Problem
from maml_rl.meta.shared_step import SharedStepOptions, shared_step
from maml_rl.models.distributions import Categorical, Distribution, Point
from maml_rl.models.key_network import KeyNetwork, key_network_of
from maml_rl.models.model import Model
from maml_rl.schema.bounds import Count, Within
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.comparison import examples
from maml_rl.supervised.examples import Examples
from maml_rl.supervised.key_memory import KeyMemory, class_similarity, empty_memory, shown


@dataclass(frozen=True)
class MemoryOptions(SharedStepOptions):
    """Options of a memory. The defaults are those of the authors' code."""

    meta_lr: Annotated[float, Within(0, open_low=True)] = 1e-4
    """Step size of Adam."""
    halve_every: Count = 1_000_000
    """Iterations after which the step size is halved, again and again; the authors never do."""
    adam_epsilon: Annotated[float, Within(0, open_low=True)] = 1e-4
    """Added to the scale that Adam divides by."""
    max_gradient: Annotated[float, Within(0, open_low=True)] = 5.0
    """Length to which a longer gradient is cut."""
    memory_size: Count = 8192
    """Slots of the memory that all tasks of an iteration share, num_tasks or more."""
    key_size: Annotated[int, Within(1, 10_000)] = 128
    """Numbers of a key."""
    dropout: Annotated[float, Within(0, 0.99)] = 0.7
    """Share of an embedding's numbers that training leaves out at random before the projection to a key."""
    neighbours: Count = 256
    """Most similar keys that the loss sees, beside the newest one of the right class."""
    margin: Annotated[float, Within(0)] = 0.1
    """Cosine by which the right key is to be nearer than a wrong one."""
    age_noise: Annotated[float, Within(0)] = 8.0
    """Largest number that is added to or taken from an age, uniformly, when the oldest slot is sought in training."""


def memory_network(model: Model, options: MemoryOptions) -> KeyNetwork:
    """The network of keys for the pictures of a classifier. Raises UsageError."""
    return key_network_of(model, options.key_size)


def check_sharing(options: MemoryOptions, num_tasks: int, num_ranks: int) -> None:
    """Raise UsageError unless all tasks of an iteration can share a memory."""
    if num_ranks > 1:
        raise UsageError(f"torchrun: got {num_ranks} ranks, allowed with memory: 1, as all tasks share one memory")
    if options.memory_size < num_tasks:
        allowed = f">= {num_tasks}, the tasks that write at the same time"
        raise UsageError(f"--memory-size: got {options.memory_size}, allowed: {allowed}")


@dataclass(frozen=True)
class Memory:
    """A class is that of the nearest key; keys are written as examples come, and their network learns to tell classes.

    A step of adaptation is a look at the support set, which is written into an empty memory of the task's own.

    An iteration is a step of Adam on num_tasks sequences that share one memory, empty at first; the authors' code takes
    one after each example of the sequences.
    """

    options: MemoryOptions
    trained_steps = 1

    def init(self, model: Model, generator: KeyedGenerator) -> State:
        theta = model.initial_parameters(generator)
        memory = empty_memory(1, self.options.memory_size, self.options.key_size, theta)
        return {"theta": theta, **adam_start(theta), **as_state(memory, 0)}

    def update(self, state: State, problem: Problem) -> tuple[State, Metrics]:
        options, theta_M = self.options, state["theta"].expand(problem.num_tasks, -1)
        network = cast(KeyNetwork, problem.model)
        sequences = in_random_order(examples(problem, theta_M, 0), examples(problem, theta_M, 1), problem.random)
        with problem.watch("adapt"), torch.no_grad():
            M, T, ways = sequences.targets.shape
            noise = problem.random.uniform(-options.age_noise, options.age_noise, (T, 1, options.memory_size))
            kept = torch.from_numpy(problem.random.random((M, T, options.key_size)) >= options.dropout).to(theta_M)
            of_task = ways * torch.arange(M, device=theta_M.device)[:, None]  # no two tasks have a class in common
            memory, reading = shown(
                empty_memory(1, options.memory_size, options.key_size, theta_M),
                network.keys(theta_M, sequences.inputs, kept)[None],
                (classes(sequences) + of_task)[None],
                options.neighbours,
                torch.from_numpy(noise).to(theta_M),
            )
            right, wrong, hit = reading.right[0], reading.wrong[0], reading.hit[0]  # [M, T, ...]

        def loss(theta_M: Tensor, tasks: slice) -> tuple[Tensor, Tensor]:
            queries = network.keys(theta_M, sequences.inputs[tasks], kept[tasks])
            losses = margin_loss(queries, right[tasks], wrong[tasks], options.margin)  # [m, T]
            return losses.mean(dim=1), losses.new_empty(len(losses), 0)

        with problem.watch("outer"):
            step = shared_step(problem, state, loss, sequences, options, options.adam_epsilon, options.max_gradient)
        metrics = {"loss": step.loss, **by_showing(hit, sequences.targets)}
        return {"theta": step.theta, **step.moments, **as_state(memory, 0)}, metrics

    def adapt(self, state: State, problem: Problem, steps: int, first: int = 0) -> Iterator[Actor]:
        model, theta_M = problem.model, state["theta"].expand(problem.num_tasks, -1)
        if first:
            parts = (state[name].expand(len(theta_M), *state[name].shape) for name in ENTRIES)
            yield Remembering(model, theta_M, KeyMemory(*parts), int(state["memory.ways"]))
        else:
            yield Remembering(model, theta_M, None, examples(problem, theta_M, first).targets.shape[2])
        for k in range(first, first + steps):
            with problem.watch("adapt"), torch.no_grad():
                support = examples(problem, theta_M, k)
                M, S, ways = support.targets.shape
                # No example is the (S + 1)-th: with more slots nothing would change.
                memory = empty_memory(M, min(S, self.options.memory_size), self.options.key_size, theta_M)
                queries = keys_of(model, theta_M, support.inputs)[:, None]  # [M, 1, S, D]
                memory, _ = shown(memory, queries, classes(support)[:, None], self.options.neighbours)
            yield Remembering(model, theta_M, memory, ways)

    def step_sizes(self, state: State, first: int, last: int) -> list[float]:
        return []


ENTRIES = ("memory.keys", "memory.values", "memory.ages")  # of a state, [S, D], [S] and [S]
# Of a softmax of similarities: a key that is nearer than 255 others by 0.1, the margin, gets a probability of about 0.2
# (the authors' code).
INVERSE_TEMPERATURE = log(0.2 * 256) / 0.1


class Remembering:
    """An actor with memories of M tasks, or without: then all classes are alike to it."""

    def __init__(self, model: Model, theta_M: Tensor, memory: KeyMemory | None, ways: int) -> None:
        """memory: [M, S, ...], of each task its own."""
        self.theta_M = theta_M
        self._model, self._memory, self._ways = model, memory, ways

    @property
    def state_M(self) -> State:
        if self._memory is None:
            return {"theta": self.theta_M}
        ways = self.theta_M.new_full((len(self.theta_M),), self._ways)
        return {"theta": self.theta_M, **dict(zip(ENTRIES, self._memory, strict=True)), "memory.ways": ways}

    def __call__(self, inputs: Tensor, memory: meta.Memory) -> tuple[Distribution, meta.Memory]:
        if self._memory is None:
            return Categorical(inputs.new_zeros(*inputs.shape[:2], self._ways)), memory
        queries = keys_of(self._model, self.theta_M, inputs)
        return Categorical(INVERSE_TEMPERATURE * class_similarity(self._memory, queries, self._ways)), memory

    def rows(self, rows: slice | Tensor) -> "Remembering":
        memory = None if self._memory is None else KeyMemory(*(part[rows] for part in self._memory))
        return Remembering(self._model, self.theta_M[rows], memory, self._ways)


def margin_loss(queries: Tensor, right: Tensor, wrong: Tensor, margin: float) -> Tensor:
    """max(0, q . wrong - q . right + margin) - margin [M, T] of queries q [M, T, D] (Kaiser et al. 2017, eq. 2).

    right, wrong: keys [M, T, D], constants. The last term, which changes no gradient, is the authors' code's.
    """
    return ((queries * (wrong - right)).sum(dim=2) + margin).relu() - margin


def by_showing(hit: Tensor, targets: Tensor) -> Metrics:
    """Accuracies at the first, second, ... example of a class: the k-shot accuracy is that at the (k + 1)-th.

    hit: [M, T] bool. targets: [M, T, ways], one-hot.
    """
    showing = (targets * targets.cumsum(dim=1)).sum(dim=2)  # [M, T], from 1
    return {f"memory/showing_{k}": float(hit[showing == k].double().mean()) for k in range(1, int(showing.max()) + 1)}


def in_random_order(support: Examples, query: Examples, random: np.random.Generator) -> Examples:
    """The examples of both sets, those of each task in an order of its own."""
    both = [torch.cat(parts, dim=1) for parts in ((support.inputs, query.inputs), (support.targets, query.targets))]
    order = random.random(both[1].shape[:2]).argsort(axis=1)
    return Examples.of(*both).chosen(torch.from_numpy(order).to(both[1].device))


def keys_of(model: Model, theta_M: Tensor, inputs: Tensor) -> Tensor:
    """[M, N, D] of pictures [M, N, C, H, W]."""
    return cast(Point, model.at(theta_M)(inputs)).mean


def classes(batch: Examples) -> Tensor:
    """Numbers of the classes [M, N], in the dtype of the targets."""
    return batch.targets.argmax(dim=2).to(batch.targets.dtype)


def as_state(memory: KeyMemory, number: int) -> State:
    """The entries of a state: those of one of the memories."""
    return {name: part[number] for name, part in zip(ENTRIES, memory, strict=True)}
