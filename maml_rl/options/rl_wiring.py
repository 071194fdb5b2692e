"""The objects that a configuration of reinforcement learning stands for: its families, its policy."""

import dataclasses
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from maml_rl import envs
from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import Family, Simulation
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.machine.ranks import ALONE, Ranks
from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.machine.threads import num_cpus
from maml_rl.meta.algorithm import Algorithm, Metrics, State
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.normalization import Normalization
from maml_rl.models.policies import MlpPolicy
from maml_rl.models.policy import Policy
from maml_rl.options.config import RlConfig
from maml_rl.options.parts import choose_device, make_algorithm, outer_step_size
from maml_rl.options.size import check_size
from maml_rl.reports.evaluation import adapt_and_roll_out
from maml_rl.reports.measure import RETURN, Measure
from maml_rl.rl.return_metrics import return_metrics
from maml_rl.rl.rollouts import Rollouts
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name


@dataclass(frozen=True)
class RlSetting:
    """The objects that a configuration of reinforcement learning stands for, on one rank."""

    config: RlConfig
    family: Family
    simulations: Sequence[Simulation]  # for this rank's share of the tasks, one part after another
    model: Policy
    algorithm: Algorithm
    ranks: Ranks = ALONE

    @property
    def evaluation_steps(self) -> int:
        """Steps of adaptation that an evaluation takes unless told otherwise."""
        steps = ALGORITHMS[self.config.algorithm].evaluation_steps
        return self.algorithm.trained_steps if steps is None else steps

    @property
    def outer_step_size(self) -> str:
        """The option to lower if an update diverges."""
        return outer_step_size(self.config)

    @property
    def measure(self) -> Measure:
        """What validation and evaluation measure."""
        return RETURN

    @property
    def step(self) -> str:
        """The word for a step of adaptation."""
        return ALGORITHMS[self.config.algorithm].step

    def problem(self, tasks: Tensor, draws: Draws, announce: Callable[[str], None] = lambda part: None) -> Rollouts:
        """The problem of some tasks [M, ...], as many as the simulations have.

        announce: told the name of each part of the work as it begins.
        """
        config = self.config
        return Rollouts(
            self.model,
            self.family,
            self.simulations,
            tasks,
            draws,
            config.horizon,
            config.discount,
            config.gae_lambda,
            TaskMean(config.num_tasks, self.ranks.sum),
            keyed(Purpose.ALGORITHM, draws.seed, draws.iteration).streams(1)[0],
            draws.iteration / max(1, config.iterations),
            Stopwatch(announce),
            step=self.step,
            step_size=ALGORITHMS[config.algorithm].step_size,
            outer_step_size=self.outer_step_size,
            trained_steps=self.algorithm.trained_steps,
        )

    def sample_tasks(self, iteration: int) -> Tensor:
        """The tasks of an iteration, those of all ranks: a class may balance the tasks of a meta-batch."""
        return self.family.sample_tasks(self.config.num_tasks, keyed(Purpose.TASKS, self.config.seed, iteration))

    def validation_tasks(self) -> Tensor:
        """The tasks of a validation, those of all ranks: as many as simulations."""
        return self.family.sample_tasks(self.config.num_tasks, keyed(Purpose.VALIDATION_TASKS, self.config.seed))

    def metrics(self, rollouts: Rollouts, before: State, after: State) -> Metrics:
        """The metrics of an iteration's episodes, of the state that played them and the new one."""
        return return_metrics(rollouts, after["theta"])

    def scores(self, state: State, tasks: Tensor, draws: Draws, steps: int) -> Tensor:
        """[K + 1, M], returns on the tasks before adaptation and after each of the steps."""
        return adapt_and_roll_out(self.algorithm, state, self.problem(tasks, draws), steps).returns()

    def try_out(self) -> None:
        """Begin an episode of the first tasks. Raises what a user's environment raises in its first steps."""
        config = self.config
        tasks = self.sample_tasks(0)
        tasks, draws = tasks[self.ranks.share(config.num_tasks)], Draws(Purpose.EPISODES, config.seed)
        first = 0
        for simulation in self.simulations:
            simulation.reset(tasks[first : first + simulation.num_tasks], draws.phase().from_task(first))
            first += simulation.num_tasks

    def initial_state(self) -> State:
        """The state of a new run."""
        return self.algorithm.init(self.model, keyed(Purpose.INITIAL_PARAMETERS, self.config.seed))


def make_rl_setting(config: RlConfig, ranks: Ranks = ALONE, family: Family | None = None) -> RlSetting:
    """Build the objects of a configuration. Raises the errors of `make_family`, `choose_physics` and `check_size`.

    family: as `make_family` gave it before, if it did: a user's class may take its time.
    """
    make_physics = choose_physics(config)  # if it cannot be, that is said before a user's class is imported
    share = ranks.share(config.num_tasks)
    family = family or make_family(config)
    model = make_model(config, family)
    own = dataclasses.replace(config, num_tasks=share.stop - share.start)
    device = choose_device(config.device)
    sharing = ranks.local_size if device.type == "cpu" else 1  # ranks in the same memory
    check_size(config, family, model, own.num_tasks * sharing, device)
    simulations = make_simulations(own, family, make_physics)
    return RlSetting(config, family, simulations, model, make_algorithm(config), ranks)


def make_family(config: RlConfig) -> Family:
    """The family that the algorithm is trained on.

    Raises maml_rl.envs.errors.FamilyError if it cannot be, and UsageError if the configuration has too few or too many
    numbers to normalise its observations by.
    """
    family = envs.make_family(config.env, config.variant, config.num_tasks)
    for name in ("observation_mean", "observation_std"):
        numbers, size = len(getattr(config, name)), family.observation_size
        if numbers not in (0, size):
            wanted = f"none, or {size}, as many as an observation has"
            raise UsageError(f"{option_name(name)}: got {numbers} numbers, allowed: {wanted}")
    return ALGORITHMS[config.algorithm].wrap(family)


def make_simulations(config: RlConfig, family: Family, make_physics: MakePhysics | None) -> list[Simulation]:
    """Room for all tasks of an iteration: in two parts with half of the threads each, if that is faster.

    The policy of one part is then computed while the other is in the physics. Neither a part's results nor the
    number of parts depend on the number of threads. make_physics: as of `choose_physics`.
    """
    num_threads = config.num_threads or num_cpus()
    whole = family.simulate(config.num_tasks, config.episodes_per_task, num_threads, make_physics)
    if not whole.overlaps or config.num_tasks == 1:
        return [whole]
    half = config.num_tasks // 2
    return [
        family.simulate(num_tasks, config.episodes_per_task, max(1, num_threads // 2), make_physics)
        for num_tasks in (config.num_tasks - half, half)
    ]


def make_model(config: RlConfig, family: Family) -> Policy:
    """The policy of the configured size, for the family's observations and kind of actions, as the algorithm has it."""
    policy = MlpPolicy(
        family.observation_size,
        family.action_size,
        config.hidden_sizes,
        config.nonlinearity,
        config.init_log_std,
        config.min_log_std,
        config.output_scale,
        family.choices,
        make_normalization(config, family.observation_size),
    )
    return ALGORITHMS[config.algorithm].model(policy, config.algorithm_options)


def make_normalization(config: RlConfig, observation_size: int) -> Normalization | None:
    """What the configuration makes of observations. What an algorithm has appended to the family's stays as it is."""
    mean, std = config.observation_mean, config.observation_std
    if not mean and not std:
        return None
    return Normalization(
        mean + (0.0,) * (observation_size - len(mean)),
        std + (1.0,) * (observation_size - len(std)),
    )


def choose_physics(config: RlConfig) -> MakePhysics | None:
    """A constructor of MuJoCo Warp's physics on the device; None for the CPU's. Raises UsageError if it cannot be."""
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
    from maml_rl.envs.physics.warp import WarpPhysics  # Warp takes seconds to import

    return partial(WarpPhysics, device=device, contacts=config.warp_contacts, constraints=config.warp_constraints)
