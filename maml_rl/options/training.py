"""The options of training, whatever it is that learns."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.schema.bounds import Count, OneOf, Within
from maml_rl.schema.fields import Mark


@dataclass(frozen=True)
class Training:
    """Options of every run."""

    algorithm: Annotated[str, OneOf(tuple(ALGORITHMS))] = "maml"
    """What is trained, and how. Each has options of its own beside these, which --algorithm NAME --help shows:"""
    seed: Annotated[int, Within(0, 2**32 - 1), Mark.SAME_EXPERIMENT] = 1
    """Seed of everything random."""
    iterations: Annotated[int, Within(0, 10**12), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 500
    """Meta-updates in total: a resumed run goes on up to this number."""
    init_from: str | None = None
    """Checkpoint, run directory or shipped name whose parameters a new run begins with, those of the same name and
    shape; the others are drawn. What only training needs, such as Adam's moments, begins afresh."""
    num_tasks: Count = 20
    """Tasks per meta-update."""
    device: Annotated[Literal["auto", "cpu", "cuda"], Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = "auto"
    """Where models, adaptation and outer step run; auto takes CUDA if there is one."""
    num_threads: Annotated[int, Within(0, 1024), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """CPU threads of the physics and of PyTorch; 0 takes one per CPU. Under torchrun: of each rank, and 0 divides the
    CPUs of a machine among its ranks."""
    checkpoint_every: Annotated[Count, Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 10
    """Iterations between checkpoints. The last iteration always gets one."""
    keep_best: Annotated[bool, Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = False
    """Evaluate on validation tasks, and keep the best state so far in checkpoints/best.safetensors."""
    validate_every: Annotated[Count, Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 10
    """Iterations between validations, if keep_best is set."""
    algorithm_options: Annotated[Any, tyro.conf.Suppress] = dataclasses.field(
        default_factory=ALGORITHMS["maml"].options
    )
