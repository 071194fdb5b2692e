"""Train the missing runs of an experiment, evaluate all on the same tasks, and compare them.

python -m maml_rl.compare --env halfcheetah-dir --algorithms maml promp --seeds 1 2 3 --output DIR
"""

import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from maml_rl.command import FAILED, exit_status
from maml_rl.comparison import document, rank_jobs, table
from maml_rl.comparison.commands import check_folder, commands, evaluation_path
from maml_rl.comparison.document import Comparison
from maml_rl.comparison.jobs import Job, work
from maml_rl.comparison.kept_run import kept
from maml_rl.comparison.markdown_file import check_place, write_tables
from maml_rl.comparison.options import Options, parse
from maml_rl.comparison.outlook import outlook
from maml_rl.comparison.plan import Plan, PlannedRun, plan
from maml_rl.comparison.progress import ComparisonProgress
from maml_rl.machine.atomic_file import write_atomically
from maml_rl.machine.ranks import Ranks, join_ranks
from maml_rl.machine.stop_signals import Interrupted, StopSignals
from maml_rl.machine.threads import num_cpus
from maml_rl.machine.versions import versions
from maml_rl.options.config import Config, RlConfig, tasks_of
from maml_rl.options.given_tasks import load_tasks
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import make_family
from maml_rl.reports.measure import ACCURACY, LOSS, RETURN
from maml_rl.runs.progress import shown
from maml_rl.runs.sessions import Session, now
from maml_rl.schema.documents import DocumentError, parse_json, read_text
from maml_rl.schema.errors import UsageError
from maml_rl.schema.text_table import text_table


def run(argv: Sequence[str], signals: StopSignals, ranks: Ranks) -> int:
    """Train what is missing, evaluate, compare. Returns the exit status: 1 if a run failed. Raises UsageError."""
    with ranks.together():
        options, shared = parse(argv)
        planned = plan(options, shared)
        earlier = [(str(path), document.read_comparison(path)) for path in options.kept]
        if ranks.is_first:
            for each in planned.runs:
                check_folder(each)
            if options.fixed_tasks is not None:
                for each in planned.runs[:1]:
                    check_tasks(each.config, options.fixed_tasks)
            if options.markdown:
                names = [tasks_of(each.config) for each in planned.runs] + [each.tasks for _, each in earlier]
                check_place(options.markdown, names[0])
    if options.dry_run:
        if ranks.is_first:
            print(text_table(outlook(planned, options)))
        return 0
    if not ranks.is_first:
        with signals.interruptible():
            rank_jobs.follow(ranks)
        return 0
    failed = train_and_evaluate(planned, options, signals, ranks)
    parts = [*earlier, *gathered([each for each in planned.runs if each.name not in failed], options, failed)]
    if parts:
        report(document.joined(parts), options, shlex.join(["python", "-m", "maml_rl.compare", *argv]))
    for name, error in failed.items():
        print(f"maml_rl.compare: {name}: {error}", file=sys.stderr)
    return FAILED if failed else 0


def check_tasks(config: Config, fixed_tasks: str) -> None:
    """Raise UsageError, before anything is trained, if runs cannot be evaluated on these tasks."""
    if not isinstance(config, RlConfig):
        raise UsageError("--fixed-tasks: no effect with --data")
    load_tasks(fixed_tasks, config.env, make_family(config))


def train_and_evaluate(planned: Plan, options: Options, signals: StopSignals, ranks: Ranks) -> dict[str, str]:
    """Do what is left to do. Returns why runs failed, by their names."""
    assert options.output
    at_once = number_of_jobs(planned, options, ranks)
    num_threads = max(1, num_cpus() // max(at_once, ranks.local_size))
    logs = options.output / "logs"
    if planned.runs:
        logs.mkdir(parents=True, exist_ok=True)
    jobs = []
    for each in planned.runs:
        left = commands(each, planned.env_steps, options, num_threads)
        told = rank_jobs.announced(each.name, left, ranks) if ranks.size > 1 else left
        jobs.append(Job(each.name, told, logs / f"{each.name}.log", rank_jobs.environment(each.name)))
    try:
        progress = ComparisonProgress(planned, at_once)
        with shown(progress.bar), signals.interruptible():
            work(jobs, at_once, progress.watch)
    except Interrupted:
        print(f"stopped; the same command, with --output {options.output}, goes on", file=sys.stderr)
        raise
    if ranks.size > 1:
        rank_jobs.end(ranks)
    return {job.name: job.error for job in jobs if job.error}


def number_of_jobs(planned: Plan, options: Options, ranks: Ranks) -> int:
    """Runs beside each other."""
    if ranks.size > 1:
        return 1
    on_cuda = any(choose_device(each.config.device).type == "cuda" for each in planned.runs)
    return max(1, min(options.jobs or (1 if on_cuda else num_cpus()), len(planned.runs)))


def gathered(finished: Sequence[PlannedRun], options: Options, failed: dict[str, str]) -> list[tuple[str, Comparison]]:
    """The runs that are done, as they were evaluated; none if there is none. A damaged one is added to `failed`."""
    found: list[Comparison] = []
    for each in finished:
        path = evaluation_path(each, options)
        try:
            found.append(of_one(each, path))
        except (DocumentError, KeyError, TypeError, ValueError, IndexError) as error:
            reason = error if isinstance(error, UsageError) else f"{path} is damaged: delete it, and repeat"
            failed[each.name] = str(reason)
    name = str(options.output)
    return [(name, dataclasses.replace(found[0], runs=[run for each in found for run in each.runs]))] if found else []


def of_one(planned: PlannedRun, path: Path) -> Comparison:
    """A run, as it was evaluated into a file. Raises what a damaged file raises."""
    evaluation = parse_json(read_text(path))
    side = "env" if "env" in evaluation else "data"
    classifies = "accuracy_mean" in evaluation["results"][0]
    measure = RETURN if side == "env" else ACCURACY if classifies else LOSS
    tasks = [task["task"] for task in evaluation["results"][0]["per_task"]]
    run = kept(planned, evaluation, measure)
    return Comparison(side, evaluation[side], measure, evaluation["protocol"], tasks, [run])


def report(comparison: Comparison, options: Options, command: str) -> None:
    """Print the tables, and write them down."""
    assert options.output
    options.output.mkdir(parents=True, exist_ok=True)
    found, pairs = document.summaries(comparison), document.against_each_other(comparison)
    print(f"{comparison.tasks}: {len(comparison.task_list)} tasks\n")
    print(text_table(table.summary_rows(comparison, found)))
    of_first = table.against_rows(pairs, comparison.measure, found[0].label)
    if pairs:
        print(f"\n{text_table(of_first)}")
    print("\n" + "\n".join(table.notes(comparison)))
    if options.markdown:
        tables = [table.markdown(rows) for rows in (table.summary_rows(comparison, found), of_first)]
        below = [f"{note[:1].upper()}{note[1:]}.\n" for note in table.notes(comparison)]
        write_tables(options.markdown, comparison.tasks, "\n".join([*tables, *below]))
    if options.figure:
        from maml_rl.comparison.figure import comparison_figure
        from maml_rl.reports.canvas import picture

        drawn = comparison_figure(comparison, found, pairs)
        write_atomically(options.figure, picture(drawn, options.figure.suffix[1:].lower()))
    from maml_rl.comparison.page import comparison_page  # matplotlib takes a second to import

    made = Session(command, now(), 0, None, 1, versions(), {})
    write_atomically(options.output / "comparison.html", comparison_page(comparison, found, pairs, made).encode())
    content = json.dumps(document.as_json(comparison, found, pairs)) + "\n"
    write_atomically(options.output / "comparison.json", content.encode())
    print(f"\n{options.output / 'comparison.html'}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status (`maml_rl.command`): 1 also if a run failed."""
    argv = sys.argv[1:] if argv is None else argv
    with join_ranks() as ranks, StopSignals() as signals:
        return exit_status("maml_rl.compare", lambda: run(argv, signals, ranks))


if __name__ == "__main__":
    sys.exit(main())
