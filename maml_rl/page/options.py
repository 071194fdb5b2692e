"""The options of a report."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from maml_rl.evaluation.on_tasks import OnTasks, check_source
from maml_rl.evaluation.options import Options as EvaluationOptions
from maml_rl.options.output_file import check_output
from maml_rl.reports.paired import MAX_COMPARED
from maml_rl.schema.bounds import Within, check_each_once
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name, read_flags
from maml_rl.schema.help_page import print_help

PROG = "python -m maml_rl.report"
DESCRIPTION = (
    "Write one page about runs, to be opened in a browser: what was run, learning curves, returns or accuracies on new "
    "tasks and against the tasks, videos, times. It needs no network and no other file."
)
MOST = {"gradient_steps": 100, "tasks": 10_000}  # that figures of a page can show
SUFFIXES = [".html", ".htm"]


@dataclass(frozen=True)
class Options(OnTasks):
    """The runs, how they are evaluated, and the page to write."""

    output: Path | None = None
    """Page to write: .html."""
    video: bool = True
    """Film some tasks before adaptation and after the last step."""
    video_tasks: Annotated[int, Within(1, 100)] | None = None
    """Tasks to film of each run, from the worst to the best. Default: 3, and fewer of more than four runs."""

    @property
    def evaluation(self) -> EvaluationOptions:
        """Those of the evaluation."""
        return EvaluationOptions(**{field.name: getattr(self, field.name) for field in dataclasses.fields(OnTasks)})


def parse(argv: Sequence[str]) -> Options:
    """Check argv. Prints help and exits with status 0 if asked for. Raises UsageError for bad input."""
    if any(token in ("-h", "--help") for token in argv):
        print_help({"": Options()}, PROG, DESCRIPTION)
    options = Options(**read_flags(argv, Options, positional="runs"))
    if not options.runs:
        raise UsageError("got no run and no checkpoint, allowed: one or more; see --help")
    check_each_once(options.runs)
    check_source(options.tasks, options.fixed_tasks)
    for name, most in MOST.items():
        if (getattr(options, name) or 0) > most:
            raise UsageError(f"{option_name(name)}: got {getattr(options, name)}, allowed: up to {most} on a page")
    if len(options.runs) > MAX_COMPARED:
        raise UsageError(f"got {len(options.runs)} runs, allowed: up to {MAX_COMPARED} on a page")
    if options.video_tasks and not options.video:
        raise UsageError("--video-tasks: not allowed with --no-video")
    if options.output is None:
        raise UsageError("--output: got nothing, allowed: a file that ends in " + ", ".join(SUFFIXES))
    check_output("--output", options.output, SUFFIXES)
    return options
