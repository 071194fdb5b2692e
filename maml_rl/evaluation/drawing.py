"""Figures of an evaluation: several policies or models compared; of one model the first tasks, and what it predicts."""

import dataclasses
from collections.abc import Sequence
from math import ceil

import torch
from matplotlib.figure import Figure

from maml_rl.algorithms.statistician import sampled
from maml_rl.evaluation import models, policies
from maml_rl.evaluation.models import ModelResult
from maml_rl.evaluation.options import Options
from maml_rl.evaluation.policies import PolicyResult
from maml_rl.interface.meta_model import MetaModel
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.meta.algorithm import Actor
from maml_rl.models.statistician import Statistician
from maml_rl.options.parts import choose_device
from maml_rl.reports.canvas import picture
from maml_rl.reports.episode_page import MAX_WAYS, Episode, episode_page
from maml_rl.reports.measure import RETURN
from maml_rl.reports.paired_figure import paired_figure
from maml_rl.reports.sampled_page import MAX_SETS, SAMPLES, SampledSet, sampled_page
from maml_rl.reports.wave_figure import Wave, wave_figure
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.catalogue import classifies
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.few_shot import FewShot
from maml_rl.supervised.prediction import predicted
from maml_rl.supervised.sinusoid import INPUTS, wave

SHOWN_STEPS = (0, 1, 5, 10)  # of a sinusoid, as in Finn et al. 2017, figure 2
WAVES, PAGES = 4, 3  # tasks in a figure
GRID = 200  # places at which a wave is drawn


def check_drawable(named: Sequence[tuple[str, MetaModel]], options: Options) -> None:
    """Raise UsageError for classes that a page of pictures cannot hold, before anything is evaluated."""
    _, first = named[0]
    ways = options.ways or first.config.ways
    on_a_page = len(options.runs) == 1 and classifies(first.config.data) and not isinstance(first.model, Statistician)
    if on_a_page and ways > MAX_WAYS:
        raise UsageError(f"--figure: got tasks of {ways} classes, allowed: up to {MAX_WAYS} in a figure of one model")


def draw_policies(results: Sequence[PolicyResult], options: Options) -> bytes:
    """The figure that compares several policies. Its kind is that of the file."""
    return _file(policies_compared(results), options)


def draw_models(results: Sequence[ModelResult], options: Options) -> bytes:
    """The figure that compares the models of several runs; of one run, that of its first tasks, likewise."""
    return _file(models_compared(results) if len(options.runs) > 1 else first_tasks(results[0], options), options)


def policies_compared(results: Sequence[PolicyResult]) -> Figure:
    """Of several policies the means after the last step, and the differences from the first, task by task."""
    return paired_figure([result.scores for result in results], RETURN, policies.title(results))


def models_compared(results: Sequence[ModelResult]) -> Figure:
    """The same of several models."""
    return paired_figure([result.scores for result in results], results[0].measure, models.title(results))


def first_tasks(result: ModelResult, options: Options) -> Figure:
    """Of one model the first tasks: waves, a page of pictures, or of samples if the model has some.

    Raises UsageError for what a page cannot hold.
    """
    if isinstance(result.setting.model, Statistician):
        return _samples(result, options, result.setting.model)
    return _page(result, options) if result.setting.data.classifies else _waves(result, options)


def _file(drawn: Figure, options: Options) -> bytes:
    assert options.figure
    return picture(drawn, options.figure.suffix[1:].lower())


def _adapted(result: ModelResult, options: Options, count: int) -> tuple[Episodes, list[Actor]]:
    """The first tasks' episodes, as they were evaluated, and the models after each step on them."""
    steps = len(result.learned.losses) - 1
    draws = Draws(Purpose.EVALUATION_EPISODES, options.seed)
    episodes = result.setting.test_problem(result.tasks[:count], draws, steps)
    state = {name: part.to(choose_device(options.device)) for name, part in result.meta_model.state.items()}
    return episodes, list(result.setting.algorithm.adapt(state, episodes, steps))


def _waves(result: ModelResult, options: Options) -> Figure:
    episodes, actors = _adapted(result, options, WAVES)
    support, tasks = episodes.sets[0], episodes.tasks
    x = torch.linspace(*INPUTS, GRID, dtype=torch.float64).expand(len(tasks), -1)[..., None]  # [V, GRID, 1]
    truth = wave(tasks, x)[..., 0].numpy()
    at = {
        k: actor(x.to(actor.theta_M), None)[0].mode()[..., 0].detach().cpu().numpy()
        for k, actor in enumerate(actors)
        if k in SHOWN_STEPS or k == len(actors) - 1
    }
    waves = [
        Wave(
            x[i, :, 0].numpy(),
            truth[i],
            {k: predictions[i] for k, predictions in at.items()},
            support.inputs[i, :, 0].numpy(),
            support.targets[i, :, 0].numpy(),
            episodes.data.describe(task),
        )
        for i, task in enumerate(tasks)
    ]
    shots = result.setting.config.shots
    return wave_figure(waves, f"{result.name}: new sinusoids from {shots} point{'s' * (shots > 1)}")


def _page(result: ModelResult, options: Options) -> Figure:
    episodes, actors = _adapted(result, options, PAGES)
    support, query = episodes.sets
    data = episodes.data
    assert isinstance(data, FewShot), "classifications are of pictures"
    config, last = result.setting.config, actors[-1]
    seen, asked = (each.inputs.to(last.theta_M) for each in (support, query))
    distribution = predicted(last, seen, asked, config.transductive, episodes.model.rows_per_input)
    probabilities = distribution[0].softmax(dim=-1).cpu().numpy()  # [V, Q, ways], of the logits
    shape, channels = data.input_shape, _channels(result)
    pages = [
        Episode(
            support.inputs[i].reshape(config.ways, -1, *shape).expand(-1, -1, channels, -1, -1).numpy(),
            query.inputs[i].expand(-1, channels, -1, -1).numpy(),
            query.targets[i].argmax(dim=-1).numpy(),
            probabilities[i].argmax(axis=-1),
            probabilities[i],
            [data.pictures.name(number) for number in task.long().tolist()],
        )
        for i, task in enumerate(episodes.tasks)
    ]
    steps = f"{len(actors) - 1} {result.setting.step}{'s' * (len(actors) != 2)}"
    return episode_page(pages, f"{result.name}: new tasks after {steps}")


def _samples(result: ModelResult, options: Options, model: Statistician) -> Figure:
    """Of the first classes as many pictures as a set of training has, and samples conditioned on them."""
    setting, config = result.setting, result.setting.config
    shots = config.train_shots or config.shots
    setting.data.check(options.split or "test", shots, 1)
    draws = Draws(Purpose.EVALUATION_EPISODES, options.seed)
    episodes = setting.test_problem(result.tasks[: ceil(MAX_SETS / config.ways)], draws, 1)
    episodes = dataclasses.replace(episodes, shots=shots, queries=1)
    data = episodes.data
    assert isinstance(data, FewShot), "a statistician models pictures"
    theta = result.meta_model.state["theta"].to(choose_device(options.device))
    support = episodes.draw(theta[None], 0)
    noise = draws.phase().child().normal(len(support.inputs), data.ways, SAMPLES, model.latent_size).to(theta)
    with torch.no_grad():
        samples = sampled(model.networks(theta.expand(len(noise), -1)), support, noise).flatten(0, 1)  # [V ways, ...]
    channels = _channels(result)
    given = support.inputs.reshape(-1, shots, *data.input_shape).expand(-1, -1, channels, -1, -1).cpu().numpy()
    samples = samples.expand(-1, -1, channels, -1, -1).cpu().numpy()
    sets = [
        SampledSet(given[i], samples[i], data.pictures.name(number))
        for i, number in enumerate(episodes.tasks.long().flatten().tolist()[:MAX_SETS])
    ]
    return sampled_page(sets, f"{result.name}: new classes, samples conditioned on {shots} pictures of each")


def _channels(result: ModelResult) -> int:
    """Of pictures as they are drawn: ink is dark on paper, as Omniglot's; a grey photograph is drawn as it is."""
    channels = result.setting.data.input_shape[0]
    return 3 if result.setting.config.data != "omniglot" and channels == 1 else channels
