"""Options: one frozen dataclass, from defaults, below a YAML preset, below the command line."""

import contextlib
import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, log
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import yaml

PRESETS = Path(__file__).resolve().parents[2] / "configs"


@dataclass(frozen=True)
class Within:
    """The values that a number may take: low <= value <= high, or low < value if `open_low`."""

    low: float = -inf
    high: float = inf
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.open_low else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low = "" if self.low == -inf else f"{'>' if self.open_low else '>='} {self.low}"
        high = "" if self.high == inf else f"<= {self.high}"
        return " and ".join(part for part in (low, high) if part)


Count = Annotated[int, Within(1, 1_000_000)]
Fraction = Annotated[float, Within(0, 1)]


@dataclass(frozen=True)
class Config:
    """Everything that determines a run. Each field is a command-line option and a key of the YAML presets."""

    env: str = "navigation-2d"
    """Family of tasks, or a class of your own as module:Class (README, Your own tasks)."""
    variant: Literal["maml", "promp"] = "maml"
    """Published definition of the family: of the MAML paper, or of ProMP (Gymnasium's bodies)."""
    algorithm: Literal["maml", "pretrain", "oracle"] = "maml"
    """What is trained: an initialisation to adapt from; or one policy for all tasks, without adaptation, that is
    fine-tuned when evaluated; or one policy that is told the task's parameters."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 1
    """Seed of everything random."""
    iterations: Annotated[int, Within(0)] = 500
    """Meta-updates in total: a resumed run goes on up to this number."""
    num_tasks: Count = 20
    """Tasks per meta-update (the paper: 40)."""
    episodes_per_task: Count = 20
    """Episodes of each task, before each inner step and after the last."""
    horizon: Count = 200
    """Time limit of an episode, in env steps."""
    inner_lr: Annotated[float, Within(0)] = 0.1
    """Step size of the inner loop (the paper's alpha)."""
    inner_steps: Count = 1
    """Policy-gradient steps of the inner loop, each on episodes of its own."""
    eval_lr_ratio: Annotated[float, Within(0)] = 0.5
    """Step size of evaluation's inner steps beyond the trained ones, over inner_lr."""
    discount: Fraction = 0.99
    """Discount factor (gamma)."""
    gae_lambda: Fraction = 1.0
    """Lambda of generalised advantage estimation."""
    max_kl: Annotated[float, Within(0, open_low=True)] = 0.02
    """Trust region of a meta-update: largest mean KL divergence of the adapted policies, in nats (the paper: 0.01)."""
    cg_iterations: Count = 5
    """Conjugate-gradient iterations, one Fisher-vector product each (the paper: 10)."""
    cg_damping: Annotated[float, Within(0)] = 1e-5
    """Added to the diagonal of the Fisher matrix."""
    curvature_stride: Count = 10
    """The Fisher-vector products are computed on every n-th step of all episodes; 1 takes all steps (the paper).
    Gradient, surrogate loss and KL test always see all."""
    max_backtracks: Count = 15
    """Candidates of the line search."""
    backtrack_ratio: Annotated[float, Within(0, 1, open_low=True)] = 0.8
    """Length of each candidate of the line search over the one before."""
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
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where policy, adaptation and outer step run; auto takes CUDA where there is one."""
    physics: Literal["auto", "cpu", "warp"] = "auto"
    """What simulates MuJoCo's families: MuJoCo on the CPU, in float64, or MuJoCo Warp on the device, in float32. auto
    takes warp on CUDA, where mujoco-warp is installed and the family is one of MuJoCo's."""
    warp_contacts: Annotated[int, Within(0, 100_000)] = 0
    """Contacts that warp has room for in each simulation, on average; 0 takes the most that the model can have."""
    warp_constraints: Annotated[int, Within(0, 100_000)] = 0
    """Rows of constraints that warp has room for in each simulation; 0 takes the most that the model can have."""
    num_threads: Annotated[int, Within(0, 1024)] = 0
    """CPU threads of the physics and of PyTorch; 0 takes one per CPU. Under torchrun: of each rank, and 0 divides the
    CPUs of a machine among its ranks."""
    checkpoint_every: Count = 10
    """Iterations between checkpoints. The last iteration always gets one."""
    keep_best: bool = False
    """Evaluate on validation tasks, and keep the best policy so far in checkpoints/best.safetensors."""
    validate_every: Count = 10
    """Iterations between validations, where keep_best is set."""
    video_every: Annotated[int, Within(0)] = 0
    """Iterations between videos of a validation task, in videos/ and in TensorBoard; 0 makes none."""

    @property
    def trained_inner_steps(self) -> int:
        """Inner steps during training: only MAML adapts there."""
        return self.inner_steps if self.algorithm == "maml" else 0


class UsageError(ValueError):
    """Bad input: the message is the one line that the user gets to see, and the exit status is 2."""


def as_config(options: Config) -> Config:
    """The Config part of an instance of a subclass."""
    return Config(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Config)})


def nearest(name: str, valid: Iterable[str]) -> str:
    """'; nearest: ...' naming the valid name most like `name`, or '' where none is."""
    lowered = {choice.lower(): choice for choice in valid}
    matches = difflib.get_close_matches(name.lower(), lowered, n=1)
    matches += [choice for choice in lowered if name and choice.startswith(name.lower())]
    return f"; nearest: {lowered[matches[0]]}" if matches else ""


def merge(base: Config, values: Mapping[str, Any], label: str = "{}") -> Config:
    """`base` with `values` in place of its own, checked.

    label: how an error message names the option, with {} for the field's name. Raises UsageError for an unknown name,
    a value of a wrong type, or one out of range.
    """
    annotations = get_type_hints(Config, include_extras=True)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in annotations:
            hint = nearest(str(name), annotations)
            raise UsageError(f"{label.format(name)}: unknown option, allowed: {', '.join(annotations)}{hint}")
        checked[name] = check_value(label.format(name), value, annotations[name])
    return dataclasses.replace(base, **checked)


def check_value(label: str, value: Any, annotation: Any) -> Any:
    """`value` in the type of `annotation`; raises UsageError, naming `label`, where it does not fit."""
    allowed, converted = _fit(value, annotation)
    if converted is None:
        choices = [str(choice) for choice in get_args(annotation)] if get_origin(annotation) is Literal else []
        raise UsageError(f"{label}: got {value!r}, allowed: {allowed}{nearest(str(value), choices)}")
    return converted


def _fit(value: Any, annotation: Any) -> tuple[str, Any]:
    """What `annotation` allows, in words, and the value in its type, or None where it does not fit."""
    within = Within()
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        within = next((extra for extra in extras if isinstance(extra, Within)), within)
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return ", ".join(choices), value if value in choices else None
    if get_origin(annotation) is tuple:
        element = get_args(annotation)[0]
        parts = [_fit(part, element)[1] for part in value] if isinstance(value, (list, tuple)) else [None]
        return f"a list of: {_fit(None, element)[0]}", None if None in parts else tuple(parts)
    if annotation is bool:
        return "true or false", value if isinstance(value, bool) else None
    if annotation is str:
        return "text", value if isinstance(value, str) else None
    bounds = f" {within}" if str(within) else ""
    if annotation is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and value in within
        return f"an integer{bounds}", value if fits else None
    assert annotation is float, annotation
    number = None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        # YAML 1.1 reads 1e-5, without a point, as text.
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
    fits = number is not None and abs(number) < inf and number in within
    return f"a number{bounds}", number if fits else None


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe loader, for which a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path, base: Config, option: str = "--config", stored: bool = False) -> Config:
    """`base` below the options in a YAML file. Raises UsageError if it cannot be read, parsed or understood.

    stored: whether a run wrote the file, maybe one of an earlier version.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise UsageError(f"{option}: got {str(path)!r}, allowed: a readable YAML file ({reason})") from error
    return parse_yaml(text, base, label=str(path), stored=stored)


def parse_yaml(text: str, base: Config, label: str, stored: bool = False) -> Config:
    """`base` below the options in YAML. Raises UsageError, beginning with `label`, if it is not understood."""
    try:
        values = yaml.load(text, _UniqueKeyLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise UsageError(f"{label}: got what cannot be parsed ({where}), allowed: YAML") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{label}: got a {type(values).__name__}, allowed: a YAML mapping of options to values")
    return merge(base, _present_options(values) if stored else values, label=f"{label}: {{}}")


def _present_options(values: dict[Any, Any]) -> dict[Any, Any]:
    """The options of a run of version 0.1.0 in those of today: the curvature of as many steps."""
    values = dict(values)
    episodes = values.pop("curvature_episodes", None)
    if isinstance(episodes, int) and "curvature_stride" not in values:
        of = values.get("episodes_per_task", Config.episodes_per_task)
        values["curvature_stride"] = max(1, round(of / episodes)) if episodes else 1
    return values


def dump_yaml(config: Config) -> str:
    values = dataclasses.asdict(config)
    values["hidden_sizes"] = list(config.hidden_sizes)
    return yaml.safe_dump(values, sort_keys=False)
