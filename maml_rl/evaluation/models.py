"""Regressors and classifiers on new tasks: losses and accuracies in a table, as JSON, and in a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from torch import Tensor

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.evaluation.options import Options
from maml_rl.interface.meta_model import MetaModel
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.options.config import configure, flat
from maml_rl.options.data_wiring import DataSetting, make_data_setting
from maml_rl.options.parts import choose_device
from maml_rl.reports.evaluation import summarise
from maml_rl.reports.measure import ACCURACY, LOSS, Measure
from maml_rl.reports.paired import Scores, differences, print_differences
from maml_rl.reports.predictions import Learned
from maml_rl.reports.shown_steps import note_on_the_others, shown_steps
from maml_rl.schema.errors import Diverged, UsageError
from maml_rl.schema.flags import option_name
from maml_rl.supervised.catalogue import DATA_SETS
from maml_rl.supervised.data_set import Split

TASKS = 600  # as the MAML paper's tests have


@dataclass(frozen=True)
class ModelResult:
    """One model's evaluation."""

    name: str
    meta_model: MetaModel
    setting: DataSetting  # of the evaluation
    split: Split  # whose classes the tasks have
    tasks: Tensor
    learned: Learned

    @property
    def measures(self) -> dict[str, list[Any]]:
        """Per number of gradient steps: mean loss and accuracy over tasks, with 95 % intervals."""
        found = summarise(self.learned.losses, LOSS)
        return found if self.learned.accuracies is None else found | summarise(self.learned.accuracies, ACCURACY)

    @property
    def scores(self) -> Scores:
        """After the last step."""
        return Scores(self.name, self.learned.scores[-1])

    @property
    def measure(self) -> Measure:
        """Of the scores."""
        return ACCURACY if self.setting.data.classifies else LOSS


def evaluate(named: Sequence[tuple[str, MetaModel]], options: Options, console: Console) -> list[ModelResult]:
    """Evaluate models on the same new tasks, one after another. Raises UsageError."""
    first = named[0][1].config
    sizes = {name: getattr(options, name) or getattr(first, name) for name in ("ways", "shots", "queries")}
    return [_evaluate(name, each, sizes, options, console) for name, each in named]


def _evaluate(
    name: str, meta_model: MetaModel, sizes: dict[str, int], options: Options, console: Console
) -> ModelResult:
    """sizes: ways, shots and queries, the same for all models."""
    trained, split = meta_model.config, options.split or "test"
    given: dict[str, Any] = {each: getattr(options, each) for each in ("transductive", "inner_lr", "eval_lr_ratio")}
    given = {each: value for each, value in given.items() if value is not None} | {"device": options.device} | sizes
    if options.data:
        if trained.data in DATA_SETS:
            raise UsageError(f"--data: got {str(options.data)!r}, no effect on a run of {trained.data}")
        given["data"] = str(options.data)
    with console.status(name) as status:
        setting = make_data_setting(
            configure(trained, given, option_name),
            progress=lambda done, of: status.update(f"{name}: read {done} of {of} pictures"),
        )
        config = setting.config
        if options.ways and not setting.data.classifies:
            raise UsageError(f"--ways: no effect on {config.data}, which has no classes")
        if config.ways != trained.ways and not ALGORITHMS[config.algorithm].any_ways:
            allowed = f"{trained.ways}, as in training: the model of {config.algorithm} has an output for each class"
            raise UsageError(f"--ways: got {config.ways}, allowed for {name}: {allowed}")
        setting.data.check(split, config.shots, config.queries or config.shots)
        generator = keyed(Purpose.EVALUATION_TASKS, options.seed)
        tasks = setting.data.sample_tasks(split, options.tasks or TASKS, generator)
        steps = setting.evaluation_steps if options.gradient_steps is None else options.gradient_steps
        device = choose_device(options.device)
        state = {name: part.to(device) for name, part in meta_model.state.items()}
        draws = Draws(Purpose.EVALUATION_EPISODES, options.seed)
        try:
            learned = setting.evaluate(
                state, tasks, draws, steps, lambda done: status.update(f"{name}: {done} of {len(tasks)} tasks")
            )
        except Diverged as error:
            raise Diverged(f"{name}: {error}") from error
    return ModelResult(name, meta_model, setting, split, tasks, learned)


def as_json(results: Sequence[ModelResult], options: Options) -> dict[str, Any]:
    """The evaluation JSON: every number that the table has, and every task's."""
    first = results[0].setting
    rows: list[dict[str, Any]] = []
    for result in results:
        losses, accuracies = result.learned.losses, result.learned.accuracies
        rows.append(
            {
                "name": result.name,
                "algorithm": "random" if result.name == "random" else result.setting.config.algorithm,
                "iteration": result.meta_model.iteration,
                "inner_lrs": result.setting.algorithm.step_sizes(result.meta_model.state, 0, len(losses) - 1),
                **({"normalisation": normalisation(result)} if first.data.classifies else {}),
                **result.measures,
                "per_task": [
                    {"task": result.setting.data.describe(task), "losses": losses[:, i].tolist()}
                    | ({} if accuracies is None else {"accuracies": accuracies[:, i].tolist()})
                    for i, task in enumerate(result.tasks)
                ],
            }
        )
    named = ["shots", "inner_lr", "eval_lr_ratio", "eval_inner_batch"]
    named += ["ways", "transductive"] if first.data.classifies else []
    named += ["omniglot_split"] if first.config.data == "omniglot" else []
    protocol = {name: value for name, value in flat(first.config).items() if name in named}
    protocol |= {"queries": first.config.queries or first.config.shots, "split": options.split or "test"}
    protocol |= {"tasks": len(results[0].tasks), "seed": options.seed}
    checkpoints = [str(path) for path in options.runs]
    document = {"data": first.config.data, "checkpoints": checkpoints, "protocol": protocol, "results": rows}
    return document | {"differences": differences([result.scores for result in results])}


def normalisation(result: ModelResult) -> str:
    """What a model's batch normalisation does in tests."""
    if result.setting.normalised_by == "training":
        return "takes the statistics of training"
    if result.setting.normalised_by == "nothing":
        return "is none: the model has no such layer"
    transductive = result.setting.config.transductive
    return f"is {'transductive: all queries at once' if transductive else 'not transductive: each query alone'}"


def title(results: Sequence[ModelResult]) -> str:
    """What was evaluated on: data set, number of tasks, and their kind."""
    first = results[0]
    config, count = first.setting.config, len(first.tasks)
    kind = f"{config.ways}-way {config.shots}-shot" if first.setting.data.classifies else f"{config.shots} examples"
    classes = {"train": " of the training classes", "val": " of the validation classes"}.get(first.split, "")
    known = classes if first.setting.data.classifies else ""
    return f"{config.data}: {count} task{'s' * (count > 1)}{known}, {kind}"


def print_table(results: Sequence[ModelResult]) -> None:
    """All models in one table: gradient steps, mean loss or accuracy with its 95 % confidence interval over tasks."""
    first = results[0]
    config = first.setting.config
    words = title(results)
    if first.setting.data.classifies:
        queries = config.ways * (config.queries or config.shots)
        words += f", {queries} quer{'ies' if queries > 1 else 'y'} each"
        kinds = dict.fromkeys(normalisation(result) for result in results)
        for kind in kinds:
            names = ", ".join(each.name for each in results if normalisation(each) == kind)
            words += f"\n{f'{names}: ' if len(kinds) > 1 else ''}batch normalisation in tests {kind}"
    print(f"{words}\n")
    width = max(len("model"), *(len(result.name) for result in results))
    classifies = first.setting.data.classifies
    steps = f"{first.setting.step}s" if len({result.setting.step for result in results}) == 1 else "steps"
    heading = f"{'model':<{width}}  iterations  {steps:>14}  "
    print(heading + ("accuracy  95 % interval       loss" if classifies else "mean squared error  95 % interval"))
    for result in results:
        name, iterations, measures = result.name, f"{result.meta_model.iteration}", result.measures
        for k in shown_steps(len(result.learned.losses) - 1):
            loss = measures["loss_mean"][k]
            row = f"{name:<{width}}  {iterations:>10}  {k:>14}  "
            if classifies:
                accuracy, half = measures["accuracy_mean"][k], measures["accuracy_ci95"][k]
                interval = "-" if half is None else f"+- {half:.2%}"
                print(f"{row}{accuracy:>8.2%}  {interval:>13}  {loss:>9.4f}")
            else:
                half = measures["loss_ci95"][k]
                interval = "-" if half is None else f"+- {half:.3f}"
                print(f"{row}{loss:>18.3f}  {interval:>13}")
            name = iterations = ""
    if note := note_on_the_others(max(len(result.learned.losses) for result in results) - 1):
        print(f"\n{note}")
    if len(results) > 1:
        print_differences([result.scores for result in results], first.measure)
