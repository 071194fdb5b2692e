"""The objects that a configuration of supervised learning stands for: its data set, its model."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.machine.ranks import ALONE, Ranks
from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.meta.algorithm import Algorithm, Metrics, State
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.batch_norm_mlp import BatchNormMlp
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.model import Model
from maml_rl.models.regressor import MlpRegressor
from maml_rl.options.config import DataConfig
from maml_rl.options.data_size import check_data_size
from maml_rl.options.parts import choose_device, evaluation_steps, make_algorithm, outer_step_size
from maml_rl.reports.measure import ACCURACY, LOSS, Measure
from maml_rl.reports.predictions import Learned, adapt_and_predict
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name
from maml_rl.supervised.catalogue import DATA_SETS, classifies, make_data_set, shape_of_examples
from maml_rl.supervised.data_set import SPLITS, DataSet
from maml_rl.supervised.episode_metrics import episode_metrics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.few_shot import FewShot

AT_ONCE = 500  # examples of all tasks that an evaluation adapts to at the same time: with twice as many it is slower


@dataclass(frozen=True)
class DataSetting:
    """The objects that a configuration of supervised learning stands for, on one rank."""

    config: DataConfig
    data: DataSet
    model: Model
    algorithm: Algorithm
    ranks: Ranks = ALONE

    @property
    def evaluation_steps(self) -> int:
        """Steps of adaptation that an evaluation takes unless told otherwise."""
        return evaluation_steps(self.config, self.algorithm)

    @property
    def training_data(self) -> DataSet:
        """The data set with as many ways as training has."""
        if isinstance(self.data, FewShot) and self.config.train_ways:
            return dataclasses.replace(self.data, ways=self.config.train_ways)
        return self.data

    @property
    def normalised_by(self) -> Literal["batch", "training", "nothing"]:
        """The statistics by which the model normalises in tests: of a batch of them, kept from training, or none."""
        return getattr(self.model, "normalised_by", "batch")

    @property
    def outer_step_size(self) -> str:
        """The option to lower if an update diverges."""
        return outer_step_size(self.config)

    @property
    def measure(self) -> Measure:
        """What validation and evaluation measure."""
        return ACCURACY if self.data.classifies else LOSS

    @property
    def step(self) -> str:
        """The word for a step of adaptation."""
        return ALGORITHMS[self.config.algorithm].step

    def initial_state(self) -> State:
        """The state of a new run."""
        return self.algorithm.init(self.model, keyed(Purpose.INITIAL_PARAMETERS, self.config.seed))

    def try_out(self) -> None:
        """Raise UsageError if training, validation or evaluation would lack classes or examples."""
        config = self.config
        queries = config.queries or config.shots
        in_training = [
            f"--{'train-' if given else ''}{name}"
            for name, given in (("ways", config.train_ways), ("shots", config.train_shots))
        ]
        self.training_data.check("train", config.train_shots or config.shots, queries, *in_training)
        for split in SPLITS[1:]:
            self.data.check(split, config.shots, queries)

    def sample_tasks(self, iteration: int) -> Tensor:
        """The tasks [M, ...] of an iteration, those of all ranks."""
        config = self.config
        return self.training_data.sample_tasks("train", config.num_tasks, keyed(Purpose.TASKS, config.seed, iteration))

    def validation_tasks(self) -> Tensor:
        """The tasks [V, ...] of a validation, those of all ranks."""
        config = self.config
        return self.data.sample_tasks("val", config.validation_tasks, keyed(Purpose.VALIDATION_TASKS, config.seed))

    def problem(self, tasks: Tensor, draws: Draws, announce: Callable[[str], None] = lambda part: None) -> Episodes:
        """The problem of some tasks [M, ...], to be trained on. announce: told each part of the work as it begins."""
        config = self.config
        return Episodes(
            self.model,
            self.training_data,
            tasks,
            draws,
            config.train_shots or config.shots,
            config.queries or config.shots,
            self.algorithm.trained_steps,
            TaskMean(config.num_tasks, self.ranks.sum, self.model.rows_per_input),
            keyed(Purpose.ALGORITHM, draws.seed, draws.iteration).streams(1)[0],
            draws.iteration / max(1, config.iterations),
            Stopwatch(announce),
            inner_batch=config.inner_batch,
        )

    def test_problem(self, tasks: Tensor, draws: Draws, steps: int) -> Episodes:
        """The problem of some tasks [M, ...], to be evaluated on after up to `steps` steps."""
        config, trained = self.config, self.problem(tasks, draws)
        return dataclasses.replace(
            trained, data=self.data, shots=config.shots, steps=steps, inner_batch=config.eval_inner_batch
        )

    def metrics(self, episodes: Episodes, before: State, after: State) -> Metrics:
        """The metrics of an iteration's episodes, if they are due, of the state before it and the new one."""
        number = episodes.draws.iteration + 1
        due = number % self.config.metrics_every == 0 or number == self.config.iterations
        return episode_metrics(episodes, self.algorithm, before, after) if due else {}

    def scores(self, state: State, tasks: Tensor, draws: Draws, steps: int) -> Tensor:
        """[K + 1, M], accuracies or losses on the tasks before adaptation and after each of the steps."""
        return self.evaluate(state, tasks, draws, steps).scores.to(state["theta"].device)

    def evaluate(
        self, state: State, tasks: Tensor, draws: Draws, steps: int, announce: Callable[[int], None] = lambda done: None
    ) -> Learned:
        """Adapt to tasks [M, ...], and predict their query sets. announce: told how many of them are done."""
        parts, config = [], self.config
        of_a_task = (config.shots + (config.queries or config.shots)) * (config.ways if self.data.classifies else 1)
        at_once = max(1, AT_ONCE // of_a_task)
        for first in range(0, len(tasks), at_once):
            here = dataclasses.replace(draws, first_task=draws.first_task + first)
            episodes = self.test_problem(tasks[first : first + at_once], here, steps)
            parts.append(adapt_and_predict(self.algorithm, state, episodes, steps, self.config.transductive))
            announce(min(len(tasks), first + at_once))
        losses = torch.cat([part.losses for part in parts], dim=1)
        accuracies = [part.accuracies for part in parts if part.accuracies is not None]
        return Learned(losses, torch.cat(accuracies, dim=1) if accuracies else None)


def make_data_setting(
    config: DataConfig, ranks: Ranks = ALONE, progress: Callable[[int, int], None] = lambda done, of: None
) -> DataSetting:
    """Build the objects of a configuration. Raises UsageError. progress: as of `make_data_set`."""
    model, algorithm = make_data_model(config), make_algorithm(config)
    if getattr(config.algorithm_options, "inner_loss", "plain") != "plain":
        got = config.algorithm_options.inner_loss
        raise UsageError(f"--inner-loss: got {got!r}, allowed with --data: plain; the others are of policies")
    if config.train_ways not in (0, config.ways) and not ALGORITHMS[config.algorithm].any_ways:
        allowed = f"{config.ways} with {config.algorithm}, as ways: its model has an output for each class"
        raise UsageError(f"train_ways: got {config.train_ways}, allowed: {allowed}")
    ALGORITHMS[config.algorithm].check(config.algorithm_options, config.num_tasks, ranks.size)
    share = ranks.share(config.num_tasks)
    device = choose_device(config.device)
    sharing = ranks.local_size if device.type == "cpu" else 1  # ranks in the same memory
    check_data_size(config, model, (share.stop - share.start) * sharing, device)
    check_batches(config, model)
    data = make_data_set(
        config.data,
        config.omniglot_split,
        config.ways,
        config.picture_size,
        config.picture_colour,
        progress,
    )
    classes = digest_of_classes(data) if config.data not in DATA_SETS else ""
    if config.classes not in ("", classes):
        allowed = "those of its training, so that no class that it has seen comes to be a new one"
        raise UsageError(f"pictures of {config.data!r}: got other classes or another split of them, allowed: {allowed}")
    config = dataclasses.replace(config, classes=classes)
    return DataSetting(config, data, model, algorithm, ranks)


def check_batches(config: DataConfig, model: Model) -> None:
    """Raise UsageError for minibatches of a single example if the model cannot normalise one."""
    name = next((name for name in ("inner_batch", "eval_inner_batch") if getattr(config, name) == 1), None)
    if name is None:
        return
    shape = shape_of_examples(config.data, config.picture_size, config.picture_colour)
    theta = model.initial_parameters(keyed(Purpose.INITIAL_PARAMETERS, config.seed))
    try:
        with torch.no_grad():
            model.at(theta[None])(torch.zeros(1, 1, *shape))
    except ValueError as error:
        allowed = "0, or two or more: batch normalisation takes the statistics of several"
        raise UsageError(f"{option_name(name)}: got 1, allowed with this model: {allowed}") from error


def digest_of_classes(data: DataSet) -> str:
    """Of the names of a folder's classes, split by split."""
    assert isinstance(data, FewShot)
    names = [[data.pictures.name(int(each)) for each in data.splits[split].flatten()] for split in SPLITS]
    return hashlib.sha256(repr(names).encode()).hexdigest()[:16]


def make_data_model(config: DataConfig) -> Model:
    """The model of a configuration, for its data's examples, as the algorithm has it. Raises UsageError."""
    shape = shape_of_examples(config.data, config.picture_size, config.picture_colour)
    init_std = config.init_std or None
    if not classifies(config.data):
        model = MlpRegressor(shape[0], 1, config.hidden_sizes, config.nonlinearity, init_std)
    elif config.network == "mlp":
        if not config.hidden_sizes:
            raise UsageError("--hidden-sizes: got none, allowed with --network mlp: one or more")
        size = shape[0] * shape[1] * shape[2]
        model = BatchNormMlp(config.ways, size, config.hidden_sizes, init_std or BatchNormMlp.init_std)
    else:
        channels, height, width = shape
        if config.halved_by == "max_pool" and min(height, width) < 2**config.blocks:
            allowed = f"as many as {height} x {width} pixels can be halved by --halved-by max_pool"
            raise UsageError(f"--blocks: got {config.blocks}, allowed: {allowed}")
        model = ConvClassifier(
            config.ways,
            (channels, height, width),
            config.filters,
            config.blocks,
            config.halved_by,
            config.features,
            init_std,
        )
    return ALGORITHMS[config.algorithm].model(model, config.algorithm_options)
