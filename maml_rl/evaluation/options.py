"""The options of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from maml_rl.evaluation.on_tasks import OnTasks, check_source
from maml_rl.options.output_file import FIGURES, check_output
from maml_rl.reports.paired import MAX_COMPARED
from maml_rl.reports.video import MAX_FPS, SUFFIXES, check_size
from maml_rl.schema.bounds import Count, Within, check_each_once
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name, read_flags
from maml_rl.schema.help_page import print_help

PROG = "python -m maml_rl.evaluate"
DESCRIPTION = (
    "Evaluate trained policies and models on tasks they have not seen, before adaptation and after each gradient step."
)
# Options that only the one or the other has an effect on.
OF_POLICIES = ("env", "episodes", "fixed_tasks", "video")
OF_MODELS = ("data", "split", "ways", "shots", "queries", "transductive")


@dataclass(frozen=True)
class Options(OnTasks):
    """The policies or models to evaluate, on which tasks, and the files to write."""

    random: bool = False
    """Evaluate a random initialisation beside them, of the first one's kind."""
    output: Path | None = None
    """JSON file to write."""
    figure: Path | None = None
    """Figure to write, .png, .pdf or .svg. Of several runs: means after the last step, and differences from the first
    run, task by task. Of a single one, of a data set: the first tasks, and what was predicted of them."""
    video: Path | None = None
    """Video to write, .mp4 or .gif: the first tasks before adaptation and after each step, side by side."""
    video_tasks: Count = 1
    """Tasks in the video, one below the other."""
    video_size: tuple[int, int] = (320, 240)
    """Width and height of each picture in the video, pixels: even numbers from 64 to 1920."""
    video_fps: Annotated[int, Within(1, MAX_FPS)] = MAX_FPS
    """Most frames a second of the video; fewer make a smaller file."""


def parse(argv: Sequence[str]) -> Options:
    """Check argv. Prints help and exits with status 0 if asked for. Raises UsageError for bad input."""
    if any(token in ("-h", "--help") for token in argv):
        print_help({"": Options()}, PROG, DESCRIPTION)
    flags = read_flags(argv, Options, positional="runs")
    options = Options(**flags)
    if not options.runs:
        raise UsageError("got no run and no checkpoint, allowed: one or more; see --help")
    check_each_once(options.runs)
    check_source(options.tasks, options.fixed_tasks)
    for name in ("video_tasks", "video_size", "video_fps"):
        if name in flags and not options.video:
            raise UsageError(f"{option_name(name)}: not allowed without --video")
    if options.figure:
        check_output("--figure", options.figure, FIGURES)
        if len(options.runs) > MAX_COMPARED:
            raise UsageError(f"--figure: got {len(options.runs)} runs, allowed: up to {MAX_COMPARED} in a figure")
    if options.output:
        check_output("--output", options.output, [".json"])
    if options.video:
        check_output("--video", options.video, SUFFIXES)
        check_size("--video-size", options.video_size)
    return options
