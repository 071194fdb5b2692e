"""Plot runs and evaluations.

python -m maml_rl.plot runs/A runs/B --output curves.png
python -m maml_rl.plot evaluation.json --output steps.pdf
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from maml_rl.algorithms.catalogue import ALGORITHMS, Entry
from maml_rl.command import exit_status
from maml_rl.machine.atomic_file import write_atomically
from maml_rl.options.output_file import FIGURES, check_output
from maml_rl.reports.evaluation_file import read_evaluation
from maml_rl.runs.directory import read_run
from maml_rl.runs.experiments import group_runs
from maml_rl.schema.bounds import check_each_once
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import read_flags
from maml_rl.schema.help_page import print_help

PROG = "python -m maml_rl.plot"
DESCRIPTION = (
    "Plot run directories (return before and after adaptation against env steps, of data sets accuracy or loss against "
    "iterations) and evaluation JSON files (the same against gradient steps, or of rl2 episodes)."
)


@dataclass(frozen=True)
class Options:
    """The input of the plot, and the figure to write."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Run directories, evaluation JSON files, or both. Runs that differ in their seeds alone become one curve."""
    output: Path | None = None
    """Figure to write: .png, .pdf or .svg."""


def parse(argv: Sequence[str]) -> tuple[tuple[Path, ...], Path]:
    """Check argv. Prints help and exits with status 0 if asked for. Raises UsageError for bad input."""
    if any(token in ("-h", "--help") for token in argv):
        print_help({"": Options()}, PROG, DESCRIPTION)
    options = Options(**read_flags(argv, Options, positional="runs"))
    if not options.runs:
        raise UsageError("got no run and no evaluation, allowed: one or more; see --help")
    if options.output is None:
        raise UsageError("--output: got nothing, allowed: a file that ends in " + ", ".join(FIGURES))
    check_each_once(options.runs)
    check_output("--output", options.output, FIGURES)
    return options.runs, options.output


def with_step(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The evaluation with the word for a step of adaptation that all of its algorithms have."""
    names = [result.get("algorithm") for result in evaluation["results"]]
    words = {ALGORITHMS[name].step for name in names if name in ALGORITHMS} or {Entry.step}
    return evaluation | {"step": words.pop() if len(words) == 1 else "step"}


def plot(paths: Sequence[Path], output: Path) -> None:
    """Read runs and evaluations, and write the figure. Raises UsageError for files that cannot be read."""
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"got {str(path)!r}, which does not exist, allowed: run directories and evaluation files")
    runs = [read_run(path) for path in paths if os.path.isdir(path)]
    evaluations = [with_step(read_evaluation(path)) for path in paths if not os.path.isdir(path)]

    # matplotlib takes a second to import; bad input does not have to wait for it
    from maml_rl.reports.canvas import picture
    from maml_rl.reports.figures import figure

    content = picture(figure(group_runs(runs), evaluations), output.suffix[1:].lower())
    write_atomically(output, content)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status (`maml_rl.command`)."""

    def work() -> int:
        plot(*parse(sys.argv[1:] if argv is None else argv))
        return 0

    return exit_status("maml_rl.plot", work)


if __name__ == "__main__":
    sys.exit(main())
