"""The options of a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from maml_rl.evaluation.options import Options as EvaluationOptions
from maml_rl.options.output_file import check_output
from maml_rl.reports.paired import MAX_COMPARED
from maml_rl.schema.bounds import Count, Within
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import read_flags
from maml_rl.schema.help_page import print_help

PROG = "python -m maml_rl.report"
DESCRIPTION = (
    "Write one page about runs, to be opened in a browser: what was run, learning curves, returns or accuracies on new "
    "tasks and against the tasks, videos, times. It needs no network and no other file."
)
SUFFIXES = [".html", ".htm"]


@dataclass(frozen=True)
class Options:
    """The runs, how they are evaluated, and the page to write."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Run directories (their best checkpoint, or the last if none is kept), checkpoint files, or names of those that
    come with the package, such as halfcheetah-dir. The latter two have no learning curves."""
    output: Path | None = None
    """Page to write: .html."""
    env: str | None = None
    """The family that they were trained on: needed for a class of your own, module:Class, to allow that it runs."""
    data: Path | None = None
    """Folder of the pictures, if they are elsewhere now than in training."""
    gradient_steps: Annotated[int, Within(0, 100)] | None = None
    """Gradient steps on each task. Default: as of maml_rl.evaluate."""
    tasks: Annotated[int, Within(1, 10_000)] | None = None
    """New tasks to draw. Default: 40; of a data set 600."""
    episodes: Count | None = None
    """Episodes of each task, before each gradient step and after the last. Default: as of maml_rl.evaluate."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 1
    """Seed of tasks, start states and noise. Training and validation never have the same."""
    fixed_tasks: str | None = None
    """JSON or YAML file with a list of tasks to evaluate on instead, or maml-paper: as of maml_rl.evaluate."""
    video: bool = True
    """Film some tasks before adaptation and after the last step."""
    video_tasks: Annotated[int, Within(1, 100)] | None = None
    """Tasks to film of each run, from the worst to the best. Default: 3, and fewer of more than four runs."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models and adaptation run; auto takes CUDA if there is one."""
    num_threads: Annotated[int, Within(0, 1024)] = 0
    """CPU threads; 0 takes one per CPU."""

    @property
    def evaluation(self) -> EvaluationOptions:
        """Those of the evaluation."""
        names = ("runs", "env", "data", "gradient_steps", "tasks", "episodes", "seed", "fixed_tasks")
        names += ("device", "num_threads")
        return EvaluationOptions(**{name: getattr(self, name) for name in names})


def parse(argv: Sequence[str]) -> Options:
    """Check argv. Prints help and exits with status 0 if asked for. Raises UsageError for bad input."""
    if any(token in ("-h", "--help") for token in argv):
        print_help({"": Options()}, PROG, DESCRIPTION)
    options = Options(**read_flags(argv, Options, positional="runs"))
    if not options.runs:
        raise UsageError("got no run and no checkpoint, allowed: one or more; see --help")
    twice = next((path for path in options.runs if options.runs.count(path) > 1), None)
    if twice:
        raise UsageError(f"got {str(twice)!r} twice, allowed: each once")
    if len(options.runs) > MAX_COMPARED:
        raise UsageError(f"got {len(options.runs)} runs, allowed: up to {MAX_COMPARED} on a page")
    if options.video_tasks and not options.video:
        raise UsageError("--video-tasks: not allowed with --no-video")
    if options.output is None:
        raise UsageError("--output: got nothing, allowed: a file that ends in " + ", ".join(SUFFIXES))
    check_output("--output", options.output, SUFFIXES)
    return options
