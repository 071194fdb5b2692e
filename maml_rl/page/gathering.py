"""From options to the contents of a page: runs are read, evaluated on the same tasks, drawn and filmed."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure
from rich.console import Console

from maml_rl.envs import ENVS
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.evaluation import models, policies
from maml_rl.evaluation.drawing import first_tasks, models_compared, policies_compared
from maml_rl.evaluation.learners import check_side, learners
from maml_rl.evaluation.models import ModelResult
from maml_rl.evaluation.policies import PolicyResult
from maml_rl.interface.meta_model import MetaModel
from maml_rl.interface.meta_policy import MetaPolicy
from maml_rl.options.config import RlConfig, tasks_of
from maml_rl.page.contents import Contents, Film, Run
from maml_rl.page.evaluated import Evaluated, of_model, of_policy
from maml_rl.page.facts import RunFacts, facts_of
from maml_rl.page.films import check_pictures, film
from maml_rl.page.inline_svg import inline_svg
from maml_rl.page.options import Options
from maml_rl.page.plane_map import colour_key, plane_maps
from maml_rl.page.tables import differences_table, models_table, policies_table, tasks_table
from maml_rl.page.task_chart import task_chart
from maml_rl.page.tracks import has_tracks, tracks_of
from maml_rl.reports.figures import figure
from maml_rl.runs.experiments import group_runs
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.catalogue import DATA_SETS, FOLDER

WIDTH, HEIGHT = 6.2, 0.8  # of a figure with one panel: inches, and share of its own height
FILMS, FILMS_OF_ALL = 3, 12  # of a run, and of all runs, unless told otherwise
TRACKED, HARDEST = 6, 5  # tasks whose tracks are drawn, and that are named
MAX_DRAWN = 1000  # tasks in a figure

Results = Sequence[PolicyResult] | Sequence[ModelResult]


def gather(options: Options, console: Console) -> Contents:
    """Evaluate the runs, and draw all that the page shows. Raises UsageError, and what an evaluation raises."""
    named = learners(options.evaluation)
    check_side(named, options.evaluation)
    facts = [
        facts_of(path, name, each.config, each.iteration)
        for path, (name, each) in zip(options.runs, named, strict=True)
    ]
    of_policies = [(name, each) for name, each in named if isinstance(each, MetaPolicy)]
    if of_policies:
        played = [policies.evaluate(name, each, options.evaluation, console) for name, each in of_policies]
        return _contents(options, facts, played, [], console)
    if options.video_tasks:
        raise UsageError("--video-tasks: no effect on models of a data set")
    of_models = [(name, each) for name, each in named if isinstance(each, MetaModel)]
    return _contents(options, facts, [], models.evaluate(of_models, options.evaluation, console), console)


def _contents(
    options: Options,
    facts: Sequence[RunFacts],
    played: Sequence[PolicyResult],
    learned: Sequence[ModelResult],
    console: Console,
) -> Contents:
    """played, learned: the results of the policies or of the models; the others are empty."""
    all_evaluated = [*map(of_policy, played), *map(of_model, learned)]
    first, results = all_evaluated[0], [*played, *learned]
    scores = [result.scores for result in results]
    chosen = _spread(first.ranking(), options.video_tasks or min(FILMS, max(1, FILMS_OF_ALL // len(results))))
    films: list[list[Film]] = [[] for _ in results]
    no_films = "" if played else "There are no videos of a data set."
    if played and options.video:
        films, no_films = _films(played, chosen, options, console)
    elif played:
        no_films = "None were made: --no-video."
    with console.status("drawing"):
        document = (
            policies.as_json(played, options.evaluation) if played else models.as_json(learned, options.evaluation)
        )
        words = {result.setting.step for result in results}
        evaluation = {"tasks": tasks_of(facts[0].config), "measure": first.measure, "results": document["results"]}
        evaluation |= {"step": words.pop() if len(words) == 1 else "step"}
        trained = [(each.config, each.rows) for each in facts if each.rows]
        several = len(results) > 1
        compared = (policies_compared(played) if played else models_compared(learned)) if several else None
        runs = [
            _run(i, facts[i], all_evaluated[i], films[i], played[i] if played else learned[i], options)
            for i in range(len(results))
        ]
        return Contents(
            tasks=tasks_of(facts[0].config),
            about=_about(facts[0]),
            protocol=policies.title(played) if played else models.title(learned),
            source=f"those of {options.fixed_tasks}" if options.fixed_tasks else f"new ones, of seed {options.seed}",
            runs=runs,
            num_tasks=len(first.tasks),
            curves=_panel(figure(group_runs(trained), []), "learning", "learning curves") if trained else Markup(),
            steps=_panel(figure({}, [evaluation]), "steps", f"mean {first.measure.name} against steps of adaptation"),
            table=policies_table(played) if played else models_table(learned),
            compared=inline_svg(compared, "compared", "means and differences of all runs") if compared else Markup(),
            differences=differences_table(scores, first.measure) if several else None,
            no_films=no_films,
        )


def _run(
    i: int,
    facts: RunFacts,
    evaluated: Evaluated,
    films: Sequence[Film],
    result: PolicyResult | ModelResult,
    options: Options,
) -> Run:
    drawn = evaluated.first(MAX_DRAWN)
    plane = drawn.places.kind == "plane"
    ranking, tracks, pictures = evaluated.ranking(), [], Markup()
    if isinstance(result, ModelResult):
        pictures = _pictures(result, options, f"tasks{i + 1}")
    elif has_tracks(result):
        tracks = [tracks_of(result, task) for task in _spread(ranking, TRACKED)]
    return Run(
        number=i + 1,
        facts=facts,
        evaluated=drawn,
        maps=plane_maps(drawn) if plane else [("", task_chart(drawn))],
        key=colour_key(drawn) if plane else Markup(),
        hardest=tasks_table(evaluated, ranking[: min(HARDEST, max(1, len(ranking) // 2))]),
        films=films,
        tracks=tracks,
        pictures=pictures,
    )


def _films(
    played: Sequence[PolicyResult], tasks: Sequence[int], options: Options, console: Console
) -> tuple[list[list[Film]], str]:
    """Of every policy the films of some tasks; none, and the reason, if there can be none."""
    films: list[list[Film]] = []
    try:
        check_pictures(played[0])
        with console.status("filming") as status:
            for result in played:
                films.append([])
                for number, task in enumerate(tasks, start=1):
                    status.update(f"{result.name}: filming task {number} of {len(tasks)}")
                    words = result.setting.family.describe(result.tasks[task])
                    films[-1].append(Film(task, words, *film(result, task, options.seed)))
    except RenderingError as error:
        return [[] for _ in played], f"None could be made: {error}."
    return films, ""


def _pictures(result: ModelResult, options: Options, name: str) -> Markup:
    """The first tasks of a data set; a sentence if a figure cannot hold them."""
    try:
        return inline_svg(first_tasks(result, options.evaluation), name, f"{result.name}: the first tasks")
    except UsageError as error:
        return Markup("<p>{}</p>").format(f"They are not drawn: {error}.")


def _panel(drawn: Figure, name: str, words: str) -> Markup:
    """A figure of one panel, in a size that a phone can show."""
    drawn.set_size_inches(WIDTH, HEIGHT * drawn.get_figheight())
    for axes in drawn.axes:
        axes.set_xlabel(axes.get_xlabel().partition(" (")[0])  # the page says the rest beneath it
        axes.set_ylabel(axes.get_ylabel().replace(" (", "\n("))
    return inline_svg(drawn, name, words)


def _spread(ranking: Sequence[int], count: int) -> list[int]:
    """Up to so many tasks from the worst to the best, at equal distances. A single one is the worst."""
    count = min(count, len(ranking))
    return [ranking[round(i * (len(ranking) - 1) / max(1, count - 1))] for i in range(count)]


def _about(facts: RunFacts) -> str:
    """What a task is, in words."""
    config = facts.config
    if isinstance(config, RlConfig):
        row = ENVS.get(config.env)
        return f"{row.task}: {row.range}" if row else "tasks of a class of yours"
    return DATA_SETS.get(config.data, FOLDER).task
