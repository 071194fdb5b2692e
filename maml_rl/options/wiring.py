"""What a configuration stands for: its families, its model, its algorithm, its device."""

import dataclasses
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

import envs
from envs import TaskEnv
from envs.physics.contract import Simulate
from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.machine.ranks import ALONE, Ranks
from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.machine.threads import num_cpus
from maml_rl.meta.algorithm import Algorithm, State
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import Config
from maml_rl.rl.keys import Draws, Purpose, keyed
from maml_rl.rl.rollouts import Rollouts
from maml_rl.schema.errors import UsageError


@dataclass(frozen=True)
class Setting:
    """What a configuration stands for, on one rank."""

    config: Config
    env_parts: Sequence[TaskEnv]  # for this rank's share of the tasks
    model: MlpPolicy
    algorithm: Algorithm
    ranks: Ranks = ALONE

    @property
    def evaluation_steps(self) -> int:
        """Steps of adaptation that an evaluation takes unless told otherwise."""
        return ALGORITHMS[self.config.algorithm].evaluation_steps

    def rollouts(self, tasks: Tensor, draws: Draws, announce: Callable[[str], None] = lambda part: None) -> Rollouts:
        """The problem of some tasks [M, ...], as many as env_parts have.

        announce: told the name of each part of the work as it begins.
        """
        config = self.config
        return Rollouts(
            self.model,
            self.env_parts,
            tasks,
            draws,
            config.horizon,
            config.discount,
            config.gae_lambda,
            TaskMean(config.num_tasks, self.ranks.sum),
            keyed(Purpose.ALGORITHM, draws.seed, draws.iteration).streams(1)[0],
            Stopwatch(announce),
        )

    def initial_state(self) -> State:
        """The state of a new run."""
        return self.algorithm.init(self.model, keyed(Purpose.INITIAL_PARAMETERS, self.config.seed))


def make_setting(config: Config, ranks: Ranks = ALONE, parts: int = 2) -> Setting:
    """Build what a configuration stands for. parts: as of `make_envs`, of which this raises what it raises."""
    share = ranks.share(config.num_tasks)
    env_parts = make_envs(dataclasses.replace(config, num_tasks=share.stop - share.start), parts)
    return Setting(config, env_parts, make_policy(config, env_parts[0]), make_algorithm(config), ranks)


def make_algorithm(config: Config) -> Algorithm:
    """The algorithm, with its options."""
    return ALGORITHMS[config.algorithm].make(config.algorithm_options)


def make_envs(config: Config, parts: int = 2) -> list[TaskEnv]:
    """The family, for all tasks of an iteration: in two parts with half of the threads each, where that is faster.

    The policy of one part is then computed while the other is in the physics. Neither what a part computes nor the
    number of parts depends on the number of threads. parts: 1 for an env of all tasks in any case.

    Raises UsageError where the physics cannot be, and envs.errors.FamilyError where the family cannot.
    """
    simulate = choose_physics(config)

    def make(num_tasks: int, num_threads: int) -> TaskEnv:
        env = envs.make(config.env, num_tasks, config.episodes_per_task, config.variant, num_threads, simulate)
        return ALGORITHMS[config.algorithm].wrap(env)

    num_threads = config.num_threads or num_cpus()
    whole = make(config.num_tasks, num_threads)
    if parts == 1 or not whole.overlaps or config.num_tasks == 1:
        return [whole]
    half = config.num_tasks // 2
    return [make(num_tasks, max(1, num_threads // 2)) for num_tasks in (config.num_tasks - half, half)]


def make_policy(config: Config, env: TaskEnv) -> MlpPolicy:
    """The policy of the configured size, for the env's observations and kind of actions."""
    return MlpPolicy(
        env.observation_size,
        env.action_size,
        config.hidden_sizes,
        config.nonlinearity,
        config.init_log_std,
        config.min_log_std,
        config.output_scale,
        env.discrete,
    )


def choose_physics(config: Config) -> Simulate | None:
    """What makes MuJoCo Warp's physics on the device, or None for the CPU's. Raises UsageError where it cannot be."""
    if config.physics == "cpu":
        return None
    device = choose_device(config.device)
    if device.type == "cuda":  # of several ranks each has set its own
        device = torch.device("cuda", torch.cuda.current_device())
    installed = all(importlib.util.find_spec(package) for package in ("mujoco_warp", "warp"))
    if config.physics == "auto" and not (device.type == "cuda" and installed and envs.has_physics(config.env)):
        return None
    if not envs.has_physics(config.env):
        reason = f"{config.env} has no physics of MuJoCo's"
        raise UsageError(f"--physics: got {config.physics!r}, allowed here: auto, cpu ({reason})")
    if not installed:
        reason = "MuJoCo Warp is not installed: pip install '.[gpu]'"
        raise UsageError(f"--physics: got {config.physics!r}, allowed here: auto, cpu ({reason})")
    from envs.physics.warp import WarpPhysics  # Warp takes seconds to import

    return partial(WarpPhysics, device=device, contacts=config.warp_contacts, constraints=config.warp_constraints)


def choose_device(device: str, local_rank: int = 0, local_size: int = 1) -> torch.device:
    """Resolve "auto". Raises UsageError for "cuda" without CUDA, and unless each rank of this machine has a device."""
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not available:
        raise UsageError("--device: got 'cuda', allowed here: auto, cpu (PyTorch finds no CUDA device)")
    if device == "cpu" or not available:
        return torch.device("cpu")
    if available < local_size:
        allowed = f"at most {available} on this machine, one for each CUDA device; or --device cpu"
        raise UsageError(f"torchrun --nproc-per-node: got {local_size}, allowed: {allowed}")
    if local_size > 1:
        torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
