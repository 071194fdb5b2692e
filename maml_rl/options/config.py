"""Options: one frozen dataclass, from defaults, below a YAML preset, below the command line."""

import dataclasses
from dataclasses import dataclass
from math import log
from typing import Annotated, Literal

from maml_rl.schema.bounds import Count, Fraction, Within
from maml_rl.schema.fields import Mark


@dataclass(frozen=True)
class Config:
    """Everything that determines a run. Each field is a command-line option and a key of the YAML presets."""

    env: Annotated[str, Mark.SHARED] = "navigation-2d"
    """Family of tasks, or a class of your own as module:Class (README, Your own tasks)."""
    variant: Annotated[Literal["maml", "promp"], Mark.SHARED] = "maml"
    """Published definition of the family: of the MAML paper, or of ProMP (Gymnasium's bodies)."""
    algorithm: Literal["maml", "pretrain", "oracle"] = "maml"
    """What is trained: an initialisation to adapt from; or one policy for all tasks, without adaptation, that is
    fine-tuned when evaluated; or one policy that is told the task's parameters."""
    seed: Annotated[int, Within(0, 2**32 - 1), Mark.SAME_EXPERIMENT] = 1
    """Seed of everything random."""
    iterations: Annotated[int, Within(0), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 500
    """Meta-updates in total: a resumed run goes on up to this number."""
    num_tasks: Count = 20
    """Tasks per meta-update (the paper: 40)."""
    episodes_per_task: Count = 20
    """Episodes of each task, before each inner step and after the last."""
    horizon: Annotated[Count, Mark.SHARED] = 200
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
    device: Annotated[Literal["auto", "cpu", "cuda"], Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = "auto"
    """Where policy, adaptation and outer step run; auto takes CUDA where there is one."""
    physics: Annotated[Literal["auto", "cpu", "warp"], Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = "auto"
    """What simulates MuJoCo's families: MuJoCo on the CPU, in float64, or MuJoCo Warp on the device, in float32. auto
    takes warp on CUDA, where mujoco-warp is installed and the family is one of MuJoCo's."""
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
    """Iterations between validations, where keep_best is set."""
    video_every: Annotated[int, Within(0), Mark.FREE_ON_RESUME, Mark.SAME_EXPERIMENT] = 0
    """Iterations between videos of a validation task, in videos/ and in TensorBoard; 0 makes none."""

    @property
    def trained_inner_steps(self) -> int:
        """Inner steps during training: only MAML adapts there."""
        return self.inner_steps if self.algorithm == "maml" else 0


def as_config(options: Config) -> Config:
    """The Config part of an instance of a subclass."""
    return Config(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Config)})
