"""Options: one frozen dataclass, from defaults, below a YAML preset, below the command line."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from typing import Annotated, Any, Literal, get_type_hints

import tyro

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.schema.bounds import Count, Fraction, OneOf, Within
from maml_rl.schema.errors import UsageError, nearest, shown
from maml_rl.schema.fields import Mark, merge, names_with


@dataclass(frozen=True)
class Config:
    """Everything that determines a run. Each field is a command-line option and a key of the YAML presets."""

    env: Annotated[str, Mark.SHARED] = "navigation-2d"
    """Family of tasks, or a class of your own as module:Class (docs/own-tasks.md)."""
    variant: Annotated[Literal["maml", "promp"], Mark.SHARED] = "maml"
    """Published definition of the family: of the MAML paper, or of ProMP (Gymnasium's bodies)."""
    algorithm: Annotated[str, OneOf(tuple(ALGORITHMS))] = "maml"
    """What is trained, and how. Each has options of its own beside these, which --algorithm NAME --help shows:"""
    seed: Annotated[int, Within(0, 2**32 - 1), Mark.SAME_EXPERIMENT] = 1
    """Seed of everything random."""
    iterations: Annotated[int, Within(0, 10**12), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 500
    """Meta-updates in total: a resumed run goes on up to this number."""
    num_tasks: Count = 20
    """Tasks per meta-update (the paper: 40)."""
    episodes_per_task: Count = 20
    """Episodes of each task, before each inner step and after the last; of rl2 trials of each task."""
    horizon: Annotated[Count, Mark.SHARED] = 200
    """Time limit of an episode, in env steps."""
    discount: Fraction = 0.99
    """Discount factor (gamma)."""
    gae_lambda: Fraction = 1.0
    """Lambda of generalised advantage estimation."""
    hidden_sizes: tuple[Annotated[int, Within(1, 10_000)], ...] = (100, 100)
    """Widths of the policy's hidden layers; none for a linear policy."""
    nonlinearity: Literal["relu", "tanh"] = "tanh"
    """Nonlinearity of the policy's hidden layers (the paper: relu)."""
    output_scale: Annotated[float, Within(0, open_low=True)] = 0.1
    """Initial weights of the policy's output layer, over Xavier's (the paper: 1). If it is small, mean actions begin
    near 0."""
    init_log_std: Annotated[float, Within(-20, 5)] = -1.0
    """Start of the policy's log standard deviation, in units of its output (the paper: 0)."""
    min_log_std: Annotated[float, Within(-20, 5)] = log(1e-6)
    """Floor of the policy's log standard deviation."""
    device: Annotated[Literal["auto", "cpu", "cuda"], Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = "auto"
    """Where policy, adaptation and outer step run; auto takes CUDA if there is one."""
    physics: Annotated[Literal["auto", "cpu", "warp"], Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = "auto"
    """The simulator of MuJoCo's families: MuJoCo on the CPU, in float64, or MuJoCo Warp on the device, in float32. auto
    takes warp on CUDA, if mujoco-warp is installed and the family is one of MuJoCo's."""
    warp_contacts: Annotated[int, Within(0, 100_000), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """Contacts that warp has room for in each simulation, on average; 0 takes the most that the model can have."""
    warp_constraints: Annotated[int, Within(0, 100_000), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """Rows of constraints that warp has room for in each simulation; 0 takes the most that the model can have."""
    num_threads: Annotated[int, Within(0, 1024), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """CPU threads of the physics and of PyTorch; 0 takes one per CPU. Under torchrun: of each rank, and 0 divides the
    CPUs of a machine among its ranks."""
    checkpoint_every: Annotated[Count, Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 10
    """Iterations between checkpoints. The last iteration always gets one."""
    keep_best: Annotated[bool, Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = False
    """Evaluate on validation tasks, and keep the best policy so far in checkpoints/best.safetensors."""
    validate_every: Annotated[Count, Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 10
    """Iterations between validations, if keep_best is set."""
    video_every: Annotated[int, Within(0, 10**12), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """Iterations between videos of a validation task, in videos/ and in TensorBoard; 0 makes none."""

    algorithm_options: Annotated[Any, tyro.conf.Suppress] = dataclasses.field(
        default_factory=ALGORITHMS["maml"].options
    )


def annotations_of(algorithm: str) -> dict[str, Any]:
    """All options of a configuration with that algorithm: the types of their values, by name."""
    return _common() | get_type_hints(ALGORITHMS[algorithm].options, include_extras=True)


def _common() -> dict[str, Any]:
    """The options that do not depend on the algorithm."""
    return {
        name: each for name, each in get_type_hints(Config, include_extras=True).items() if name != "algorithm_options"
    }


def flat(config: Config) -> dict[str, Any]:
    """All options by name, the algorithm's among them."""
    values = {name: value for name, value in vars(config).items() if name != "algorithm_options"}
    return values | vars(config.algorithm_options)


def configure(
    base: Config, values: Mapping[str, Any], label: Callable[[str], str] = str, lenient: bool = False
) -> Config:
    """`base` with `values` in place of its own, checked. Another algorithm takes over the options that both have.

    label: how an error message names an option, of the field's name. lenient: whether it passes over options that only
    other algorithms have. Raises UsageError for an unknown name, a value of a wrong type, or one out of range.
    """
    common = _common()
    config = merge(base, {name: value for name, value in values.items() if name in common}, label)
    own = annotations_of(config.algorithm)
    kind = ALGORITHMS[config.algorithm].options
    defaults = vars(type(base.algorithm_options)())  # each algorithm has its own
    kept = {name: value for name, value in vars(base.algorithm_options).items() if name in own}
    if kind is not type(base.algorithm_options):
        kept = {name: value for name, value in kept.items() if value != defaults[name]}
    options = kind(**kept)
    for name in values:
        if name not in own and not (lenient and algorithms_with(name)):
            text = name if isinstance(name, str) else shown(name)
            raise UsageError(f"{label(text)}: {_unknown(text, config.algorithm)}")
    given = {name: value for name, value in values.items() if name in own and name not in common}
    return dataclasses.replace(config, algorithm_options=merge(options, given, label))


def algorithms_with(name: str) -> list[str]:
    """The algorithms that have an option of that name."""
    return [algorithm for algorithm in ALGORITHMS if name in annotations_of(algorithm)]


def _unknown(name: str, algorithm: str) -> str:
    others = algorithms_with(name)
    if others:
        return f"not an option of {algorithm}, allowed with --algorithm {', '.join(others)}"
    own = annotations_of(algorithm)
    return f"unknown option, allowed: the options that --help lists{nearest(name, own)}"


def names_marked(config: Config, mark: Mark) -> list[str]:
    """The options of a configuration that have a mark."""
    return names_with(Config, mark) + names_with(type(config.algorithm_options), mark)
