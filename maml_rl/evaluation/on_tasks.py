"""The options of commands that evaluate: what, on which tasks, and how it adapts to them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from maml_rl.options.given_tasks import EPISODES
from maml_rl.options.shipped import shipped_policies
from maml_rl.schema.bounds import Count, Known, Within
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.data_set import Split


@dataclass(frozen=True)
class OnTasks:
    """Options of an evaluation."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, Known(shipped_policies)] = ()
    """Run directories (their best checkpoint, or the last if none is kept), checkpoint files, or names of those that
    come with the package, such as halfcheetah-dir."""
    env: str | None = None
    """The family that they were trained on: needed for a class of your own, module:Class, to allow that it runs."""
    data: Path | None = None
    """Folder of the pictures, if they are elsewhere now than in training."""
    gradient_steps: Annotated[int, Within(0, 1000)] | None = None
    """Gradient steps on each task, or of rl2 episodes before the last. Default: 3; 0 for an oracle, which is told the
    task; of rl2 those of a trial in training; with --data as its option eval_steps in training."""
    tasks: Count | None = None
    """New tasks to draw. Default: 40; of a data set 600."""
    episodes: Count | None = None
    """Episodes of each task, before each gradient step and after the last. Default: as in training; with --fixed-tasks
    maml-paper as in the paper's tests, 20, or 40 for navigation-2d and ant-dir."""
    inner_lr: Annotated[float, Within(0)] | None = None
    """Size of the first gradient step. Default: as in training."""
    eval_lr_ratio: Annotated[float, Within(0)] | None = None
    """Size of the later gradient steps over that of the first. Default: as in training."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 1
    """Seed of tasks, start states and noise. Training and validation never have the same."""
    fixed_tasks: Annotated[str, Known(lambda: EPISODES, or_file=True)] | None = None
    """JSON or YAML file with a list of tasks to evaluate on instead: [1.7] for 1.7 m/s, [[0.3, -0.2]] for a goal. Or
    maml-paper: the 40 tasks of the MAML paper's tests, of the families that it has."""
    split: Split | None = None
    """Of a data set: whose classes the tasks have, those to train on, to validate or to test. Default: test."""
    ways: Annotated[int, Within(2, 10_000)] | None = None
    """Of a data set of pictures: classes of a task; another number than in training for learners that adapt by a look
    at the support set. Default: as in training."""
    shots: Count | None = None
    """Of a data set: examples of a support set; of a classification, of each class. Default: as in training."""
    queries: Count | None = None
    """Of a data set: examples of a query set, likewise. Default: as in training."""
    transductive: bool | None = None
    """Of a data set: whether batch normalisation takes the statistics of all queries of a task at once; if not, those
    of its support set and a single query. Default: as in training."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models and adaptation run; auto takes CUDA if there is one."""
    num_threads: Annotated[int, Within(0, 1024)] = 0
    """CPU threads; 0 takes one per CPU."""


def check_source(tasks: int | None, fixed_tasks: str | None) -> None:
    """Raise UsageError for tasks that are both to be drawn and given."""
    if tasks is not None and fixed_tasks is not None:
        raise UsageError("--tasks: not allowed with --fixed-tasks, which gives the tasks")
