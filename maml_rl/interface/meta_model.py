"""A trained regressor or classifier: adapt it to examples, and predict with it."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import KeyedGenerator
from maml_rl.interface.in_short import in_short
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.meta.algorithm import State
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.model import Model
from maml_rl.options.config import DataConfig
from maml_rl.options.parts import evaluation_steps, make_algorithm
from maml_rl.schema.errors import shown
from maml_rl.supervised.catalogue import classifies, shape_of_examples
from maml_rl.supervised.data_set import Split
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.examples import Examples
from maml_rl.supervised.picture_array import read_picture
from maml_rl.supervised.prediction import predicted

MAX_STEPS = 1000  # of `adapt`, as of an evaluation
Inputs = np.ndarray | Tensor | Sequence[Any]
PICTURES = (str, os.PathLike, Image.Image)  # the items of a list that are pictures, not numbers


@dataclass(frozen=True, repr=False)
class MetaModel:
    """A model, the configuration that it was trained with, and the examples that it was adapted to."""

    config: DataConfig
    model: Model
    state: State  # of the algorithm, float32, on the CPU
    iteration: int  # iterations that it was trained for
    gradient_steps: int = 0  # taken by `adapt` since
    support: Tensor | None = None  # [N, ...], the inputs that it was adapted to last
    labels: tuple[Any, ...] = ()  # of a classification: those of the classes 0, 1, ..., as `adapt` was given them

    def __repr__(self) -> str:
        return in_short(self)

    @property
    def theta(self) -> Tensor:
        """[P], the model's parameters."""
        return self.state["theta"]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example: (1,) for a number, (C, H, W) for a picture."""
        return shape_of_examples(self.config.data, self.config.picture_size, self.config.picture_colour)

    def predict(self, inputs: Inputs, transductive: bool | None = None) -> np.ndarray:
        """Numbers [N], or labels [N] as `adapt` was given them. inputs: as of `maml_rl.adapt`.

        transductive: whether batch normalisation takes the statistics of all inputs at once, so that their predictions
        depend on each other; if not, of the examples that the model was adapted to, and of one input. None takes
        `config.transductive`. Raises ValueError for inputs of another shape, for a single one if its model cannot be
        normalised by it alone, and if a classifier has not been adapted: it has no labels before.
        """
        if not classifies(self.config.data):
            return self._predicted(inputs, transductive).mode()[0, :, 0].numpy()
        chosen = self.probabilities(inputs, transductive).argmax(axis=1).tolist()
        labels = np.empty(len(chosen), dtype=object)
        labels[:] = [self.labels[number] for number in chosen]
        return labels if not all(isinstance(each, (str, int)) for each in self.labels) else np.array(labels.tolist())

    def probabilities(self, inputs: Inputs, transductive: bool | None = None) -> np.ndarray:
        """[N, labels], of each label in the order of `labels`. Raises ValueError, as `predict` does."""
        if not self.labels:
            raise ValueError("probabilities: got a model that has no labels, allowed: an adapted classifier")
        logits = self._predicted(inputs, transductive)[0]
        own = logits[0, :, : len(self.labels)]  # those of the other classes do not count
        return own.softmax(dim=1).numpy()

    def _predicted(self, inputs: Inputs, transductive: bool | None) -> Any:
        queries = as_inputs(inputs, self)
        support = queries if self.support is None else self.support
        transductive = self.support is None or (self.config.transductive if transductive is None else transductive)
        problem = _problem(self, support, queries.new_zeros(len(support), 1), self.gradient_steps)
        actor = next(iter(make_algorithm(self.config).adapt(self.state, problem, 0, self.gradient_steps)))
        try:
            return predicted(actor, support[None], queries[None], transductive, self.model.rows_per_input)
        except ValueError as error:  # batch normalisation's
            if len(queries) > 1:
                raise
            allowed = "two or more, whose statistics normalise the model, or transductive=False"
            raise ValueError(f"inputs: got a single one, allowed: {allowed}") from error


@dataclass(frozen=True)
class GivenExamples:
    """The examples of one task as a `maml_rl.supervised.data_set.DataSet`: as support and as query set."""

    given: Examples  # [1, N, ...]
    input_shape: tuple[int, ...]
    output_size: int
    classifies: bool

    def check(self, split: Split, shots: int, queries: int, of_ways: str = "--ways", of_shots: str = "--shots") -> None:
        """They are there."""

    def sample_tasks(self, split: Split, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return torch.zeros(num_tasks, 1, dtype=torch.float64)

    def examples(self, tasks: Tensor, shots: int, queries: int, generator: KeyedGenerator) -> tuple[Examples, Examples]:
        return self.given, self.given

    def describe(self, task: Tensor) -> str:
        return "the given examples"


def adapt_model(
    meta_model: MetaModel, inputs: Inputs, targets: Sequence[Any], gradient_steps: int | None = None, seed: int = 0
) -> MetaModel:
    """`maml_rl.adapt` of a model."""
    config = meta_model.config
    algorithm = make_algorithm(config)
    steps = evaluation_steps(config, algorithm) if gradient_steps is None else gradient_steps
    if not isinstance(steps, int) or not 0 <= steps <= MAX_STEPS:
        raise ValueError(f"gradient_steps: got {shown(steps)}, allowed: an integer from 0 to {MAX_STEPS}")
    x = as_inputs(inputs, meta_model)
    if not isinstance(targets, np.ndarray | Tensor | Sequence):
        raise ValueError(f"targets: got {shown(targets)}, allowed: a list, as long as inputs")
    if len(targets) != len(x):
        raise ValueError(f"targets: got {len(targets)}, allowed: {len(x)}, as many as inputs")
    y, labels = _one_hot(targets, meta_model) if classifies(config.data) else (_numbers(targets), ())
    first = meta_model.gradient_steps
    problem = _problem(meta_model, x, y, first + steps, seed)
    *_, last = algorithm.adapt(meta_model.state, problem, steps, first)
    state = meta_model.state | {name: part[0].detach() for name, part in last.state_M.items()}
    return dataclasses.replace(meta_model, state=state, gradient_steps=first + steps, support=x, labels=labels)


def _problem(meta_model: MetaModel, x: Tensor, y: Tensor, steps: int, seed: int = 0) -> Episodes:
    """One task, whose examples are inputs x [N, ...] and targets y [N, A], to be adapted to by up to `steps` steps."""
    config = meta_model.config
    data = GivenExamples(Examples.of(x[None], y[None]), meta_model.input_shape, y.shape[1], classifies(config.data))
    return Episodes(
        meta_model.model,
        data,
        torch.zeros(1, 1, dtype=torch.float64),
        Draws(Purpose.INTERFACE_EPISODES, seed),
        shots=len(x),
        queries=len(x),
        steps=steps,
        mean=TaskMean(1),
        random=np.random.default_rng(seed),
        inner_batch=config.eval_inner_batch,
    )


def as_inputs(inputs: Inputs, meta_model: MetaModel) -> Tensor:
    """Inputs [N, ...] float32 of a model; pictures of 8 bits become values from 0 to 1. Raises ValueError."""
    config, shape = meta_model.config, meta_model.input_shape
    if isinstance(inputs, str | os.PathLike) or not isinstance(inputs, np.ndarray | Tensor | Sequence):
        raise ValueError(f"inputs: got {shown(inputs)}, allowed: a list of paths, or numbers of shape {_wanted(shape)}")
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "UO":
        inputs = inputs.tolist()
    if not isinstance(inputs, np.ndarray | Tensor) and len(inputs) and isinstance(inputs[0], PICTURES):
        if len(shape) == 1:
            raise ValueError("inputs: got pictures, allowed: numbers")
        other = next((each for each in inputs if not isinstance(each, PICTURES)), None)
        if other is not None:
            raise ValueError(f"inputs: got pictures and {shown(other)}, allowed: the one or the other")
        given = [each if isinstance(each, Image.Image) else Path(each) for each in inputs]
        pictures = np.stack([read_picture(each, shape[-1], config.picture_colour) for each in given])
        x = torch.from_numpy(pictures).float() / 255
        return 1 - x if config.data == "omniglot" else x  # whose ink is 1, and paper 0
    try:
        array = inputs if isinstance(inputs, Tensor) else torch.from_numpy(np.asarray(inputs))
    except (TypeError, ValueError) as error:
        raise ValueError(f"inputs: got {shown(inputs)}, allowed: numbers of shape {_wanted(shape)}") from error
    if not array.shape or not len(array):
        raise ValueError(
            f"inputs: got {'a single number' if not array.shape else 'none'}, allowed: {_wanted(shape)}, N >= 1"
        )
    if shape[0] == 1 and array.ndim == len(shape):
        array = array.unsqueeze(1)  # a number without brackets, a grey picture without its channel
    if tuple(array.shape[1:]) != shape:
        raise ValueError(f"inputs: got shape {tuple(array.shape)}, allowed: {_wanted(shape)}")
    if array.is_complex():
        raise ValueError(f"inputs: got complex numbers, allowed: numbers of shape {_wanted(shape)}")
    x = array.to("cpu", torch.float32)
    if not x.isfinite().all():
        raise ValueError("inputs: got a number that is not finite, allowed: finite ones")
    return x / 255 if array.dtype == torch.uint8 else x


def _wanted(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(map(str, shape))})"


def _numbers(targets: Sequence[Any]) -> Tensor:
    """[N, 1] float32."""
    try:
        numbers = torch.from_numpy(np.asarray(targets, dtype=np.float32)).reshape(len(targets), 1)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"targets: got {shown(targets)}, allowed: {len(targets)} numbers") from error
    if not numbers.isfinite().all():
        raise ValueError("targets: got a number that is not finite, allowed: finite ones")
    return numbers


def _one_hot(targets: Sequence[Any], meta_model: MetaModel) -> tuple[Tensor, tuple[Any, ...]]:
    """[N, ways], and the labels of the first classes. A model that adapts by a look has as many ways as it is given."""
    names = [each.item() if isinstance(each, np.generic | Tensor) else each for each in targets]
    try:
        labels = tuple(dict.fromkeys(names))
    except TypeError as error:
        raise ValueError(f"targets: got {shown(targets)}, allowed: labels that can be keys of a dict") from error
    ways = meta_model.config.ways
    if len(labels) > ways and not ALGORITHMS[meta_model.config.algorithm].any_ways:
        raise ValueError(f"targets: got {len(labels)} different labels, allowed: up to {ways}, the ways of the model")
    return torch.eye(max(ways, len(labels)))[[labels.index(each) for each in names]], labels
