"""What a comparison would do, for --dry-run."""

from maml_rl.comparison.commands import evaluation_path, iterations_for
from maml_rl.comparison.options import Options
from maml_rl.comparison.plan import Plan, PlannedRun
from maml_rl.comparison.table import Rows
from maml_rl.runs.checkpoint import iterations_done
from maml_rl.runs.directory import read_run


def outlook(planned: Plan, options: Options) -> Rows:
    """A row for each run: how far it is, how far it will go, and its options beside its preset's."""
    rows = [["run", "iterations done", "of", "evaluated", "options beside its preset's"]]
    for each in planned.runs:
        told = ", ".join(f"{name} {value}" for name, value in each.given.items())
        evaluated = "yes" if evaluation_path(each, options).exists() else "no"
        done = iterations_done(each.folder / "checkpoints")
        rows.append([each.name, f"{done:,}", _wanted(each, planned.env_steps), evaluated, told])
    return rows


def _wanted(run: PlannedRun, env_steps: int | None) -> str:
    """The iterations that a run goes up to, in words: env steps of an iteration are known after the first."""
    if env_steps is None:
        return f"{run.config.iterations:,}"
    if (run.folder / "metrics.jsonl").exists() and read_run(run.folder)[1]:
        return f"{iterations_for(run.folder, env_steps):,}"
    return f"{env_steps:,} env steps"
