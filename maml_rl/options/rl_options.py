"""The options of reinforcement learning: the tasks, how they are played, and the policy."""

from dataclasses import dataclass
from math import log
from typing import Annotated, Literal

from maml_rl.envs import ENVS
from maml_rl.schema.bounds import Count, Fraction, Known, Within
from maml_rl.schema.fields import Mark


@dataclass(frozen=True)
class RlOptions:
    """Options of runs with --env."""

    env: Annotated[str, Mark.SHARED, Known(lambda: ENVS)] = "navigation-2d"
    """Family of tasks, or a class of your own as module:Class (docs/own-tasks.md)."""
    variant: Annotated[Literal["maml", "promp"], Mark.SHARED] = "maml"
    """Published definition of the family: of the MAML paper, or of ProMP (Gymnasium's bodies)."""
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
    observation_mean: tuple[Annotated[float, Within(-1e6, 1e6)], ...] = ()
    """The policy sees observations less these, one number for each component; none for zeros."""
    observation_std: tuple[Annotated[float, Within(1e-6, 1e6)], ...] = ()
    """The policy sees observations, less the mean, over these; none for ones."""
    output_scale: Annotated[float, Within(0, open_low=True)] = 0.1
    """Initial weights of the policy's output layer, over Xavier's (the paper: 1). If it is small, mean actions begin
    near 0."""
    init_log_std: Annotated[float, Within(-20, 5)] = -1.0
    """Start of the policy's log standard deviation, in units of its output (the paper: 0)."""
    min_log_std: Annotated[float, Within(-20, 5)] = log(1e-6)
    """Floor of the policy's log standard deviation."""
    physics: Annotated[Literal["auto", "cpu", "warp"], Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = "auto"
    """The simulator of MuJoCo's families: MuJoCo on the CPU, in float64, or MuJoCo Warp on the device, in float32. auto
    takes warp on CUDA, if mujoco-warp is installed and the family is one of MuJoCo's."""
    warp_contacts: Annotated[int, Within(0, 100_000), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """Contacts that warp has room for in each simulation, on average; 0 takes the most that the model can have."""
    warp_constraints: Annotated[int, Within(0, 100_000), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """Rows of constraints that warp has room for in each simulation; 0 takes the most that the model can have."""
    video_every: Annotated[int, Within(0, 10**12), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """Iterations between videos of a validation task, in videos/ and in TensorBoard; 0 makes none."""
