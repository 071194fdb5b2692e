"""The options of a comparison."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.evaluation.on_tasks import check_source
from maml_rl.options.config import DataConfig, RlConfig
from maml_rl.options.output_file import FIGURES, check_output
from maml_rl.schema.bounds import Count, OneOf, Within, check_each_once
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name, read_flags
from maml_rl.schema.help_page import print_help

PROG = "python -m maml_rl.compare"
DESCRIPTION = (
    "Train the runs of an experiment that are missing, evaluate all on the same tasks, and compare them. Killed and "
    "repeated, it goes on. Options of python -m maml_rl.train, such as --num-tasks 40, go to all runs that have them."
)
OF_RUNS = ("env", "data", "seeds", "env_steps", "preset", "jobs", "tasks", "episodes", "fixed_tasks", "gradient_steps")
# A run has its own, or the comparison says it otherwise.
INSTEAD = {"algorithm": "--algorithms", "seed": "--seeds", "num_threads": "--jobs"}


@dataclass(frozen=True)
class Options:
    """The runs of a comparison, how they are evaluated, and where it writes."""

    output: Path | None = None
    """Folder of the comparison: comparison.json, comparison.html, and runs/ with a run directory for each run. One that
    is there already is gone on with."""
    env: str | None = None
    """Family of tasks, as of python -m maml_rl.train."""
    data: str | None = None
    """Data set, in place of a family."""
    algorithms: tuple[Annotated[str, OneOf(tuple(ALGORITHMS))], ...] = ()
    """Algorithms to compare, with their presets."""
    seeds: tuple[Annotated[int, Within(0, 2**32 - 1)], ...] = (1, 2, 3)
    """Seeds that each of them is trained with."""
    env_steps: str | None = None
    """Env steps of each run, such as 8M, rounded up to whole iterations: their number differs. Default: the presets'
    iterations."""
    preset: str | None = None
    """Published protocol, as of python -m maml_rl.train."""
    config: Path | None = None
    """YAML file of several runs: under runs, by a name for each, its algorithm and options; env or data, seeds and
    env_steps beside it, if they are not given here."""
    kept: tuple[Path, ...] = ()
    """comparison.json files of earlier comparisons, whose runs are compared too, and not trained again."""
    figure: Path | None = None
    """Figure to write, .png, .pdf or .svg: the one of comparison.html."""
    markdown: Path | None = None
    """Markdown file to write the tables into, in place of what stands there between the lines
    <!-- compare: NAME --> and <!-- end -->, NAME the family or data set."""
    jobs: Annotated[int, Within(0, 1024)] = 0
    """Runs to train beside each other, each with its share of the CPUs. 0 takes one per CPU; on CUDA and under torchrun
    it is one."""
    dry_run: bool = False
    """Print what there is to do, run by run, and stop."""
    tasks: Count | None = None
    """New tasks to evaluate on. Default: 40; of a data set 600."""
    episodes: Count | None = None
    """Episodes of each task in evaluation, as of python -m maml_rl.evaluate."""
    fixed_tasks: str | None = None
    """JSON or YAML file of tasks to evaluate on, or maml-paper, as of python -m maml_rl.evaluate."""
    gradient_steps: Annotated[int, Within(0, 1000)] | None = None
    """Gradient steps in evaluation, as of python -m maml_rl.evaluate."""


# All flags: the options of runs, and above them the comparison's own.
OPTIONS = (RlConfig, DataConfig, *dict.fromkeys(entry.options for entry in ALGORITHMS.values()), Options)


def parse(argv: Sequence[str]) -> tuple[Options, dict[str, Any]]:
    """Check argv. Returns the options, and those that go to the runs, by name. Raises UsageError for bad input."""
    if any(token in ("-h", "--help") for token in argv):
        print_help({"": Options()}, PROG, DESCRIPTION)
    flags = read_flags(argv, *OPTIONS)
    own = {name: value for name, value in flags.items() if name in vars(Options())}
    shared = {name: value for name, value in flags.items() if name not in own}
    options = Options(**own)
    for name, instead in INSTEAD.items():
        if name in shared:
            raise UsageError(f"{option_name(name)}: a comparison has runs of several, allowed: {instead}")
    if options.output is None:
        raise UsageError("got no --output, allowed: the folder of the comparison; see --help")
    file = next((each for each in (options.output, *options.output.parents) if each.exists()), None)
    if file is not None and not file.is_dir():
        raise UsageError(f"--output: got {str(options.output)!r}, but {file} is a file, allowed: a folder")
    if options.figure is not None:
        check_output("--figure", options.figure, FIGURES)
    check_source(options.tasks, options.fixed_tasks)
    if options.env is not None and options.data is not None:
        raise UsageError("--data: not allowed with --env: a comparison is of the one or the other")
    if options.config is not None and options.algorithms:
        raise UsageError("--algorithms: not allowed with --config, which names the runs")
    if not options.algorithms and not options.config:
        unused = next((name for name in OF_RUNS if name in own), next(iter(shared), None))
        if options.kept and unused:
            raise UsageError(f"{option_name(unused)}: no effect on kept runs, allowed with --algorithms or --config")
    for name in ("algorithms", "seeds", "kept"):
        check_each_once(getattr(options, name), option_name(name))
    return options, shared


def number_of_steps(text: str, label: str) -> int:
    """The number that a text such as 8M, 500k or 80000 stands for. Raises UsageError."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kMG]?)", text)
    steps = float(found[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]] if found else 0
    if steps < 1:
        raise UsageError(f"{label}: got {text!r}, allowed: a number of env steps, such as 30M, 500k or 80000")
    return int(steps)
