"""The public interface: load a trained policy, adapt it to a task, roll it out."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maml_rl import envs
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.meta.algorithm import State
from maml_rl.models.policy import Policy
from maml_rl.options.config import Config
from maml_rl.options.given_tasks import as_tasks
from maml_rl.options.shipped import shipped_policies
from maml_rl.options.wiring import Setting, make_algorithm, make_family, make_model, make_setting
from maml_rl.rl.rollouts import Rollouts
from maml_rl.rl.trajectories import Trajectories
from maml_rl.runs.checkpoint import BEST, latest_checkpoint, load_checkpoint
from maml_rl.schema.errors import UsageError, nearest

Task = float | Sequence[float] | np.ndarray | Tensor


@dataclass(frozen=True)
class MetaPolicy:
    """A policy, the configuration that it was trained with, and how often it was adapted."""

    config: Config
    policy: Policy
    state: State  # of the algorithm, float32, on the CPU
    iteration: int  # iterations that it was trained for
    gradient_steps: int = 0  # taken by `adapt` since

    @property
    def theta(self) -> Tensor:
        """[P], the policy's parameters."""
        return self.state["theta"]

    def act(self, observation: np.ndarray, seed: int | None = None) -> np.ndarray | int:
        """The action [A] of an observation [O], in units of the policy's output; or the number of a choice.

        Numbers [components] of an action of several choices. The most probable one, or with `seed` a draw keyed by it.
        Raises ValueError for an observation of another size, and for a policy that remembers: its action depends on
        the steps before, which `roll_out` plays.
        """
        if self.policy.memory_size:
            raise ValueError("act: got a policy with a memory, allowed: one that acts on an observation; see roll_out")
        x = torch.as_tensor(observation, dtype=torch.float32)
        if x.shape != (self.policy.observation_size,):
            raise ValueError(f"observation: got shape {tuple(x.shape)}, allowed: ({self.policy.observation_size},)")
        with torch.no_grad():
            distribution = self.policy.at(self.theta[None])(x[None, None])
        if seed is None:
            return self._as_action(distribution.mode())
        noise = distribution.draw_noise(keyed(Purpose.ACTIONS, seed), (1, 1, self.policy.action_size), torch.float32)
        return self._as_action(distribution.sample(noise))

    def _as_action(self, actions: Tensor) -> np.ndarray | int:
        """The only one of actions [1, 1, A]."""
        action, choices = actions[0, 0], self.policy.choices
        if not choices:
            return action.numpy()
        numbers = [int(one_hot.argmax()) for one_hot in action.split(choices)]
        return np.array(numbers) if len(numbers) > 1 else numbers[0]


def load(path: str | Path, env: str | None = None) -> MetaPolicy:
    """Read a checkpoint; of a run directory its best one, or its last if none is kept.

    path: also the name of a policy that comes with the package, such as "halfcheetah-dir", unless there is such a path.
    env: the family that it was trained on. It has to be given if that is a class of yours, "module:Class": a checkpoint
    alone runs no code. Raises ValueError with one line, if it is missing, not a checkpoint, or of another env.
    """
    path = _found(path)
    if path.is_dir():
        folder = path / "checkpoints"
        path = folder / BEST if (folder / BEST).exists() else latest_checkpoint(folder, "checkpoint")

    models: list[Policy] = []  # built once: a user's class may take its time

    def begin(config: Config) -> tuple[Policy, Callable[[], State]]:
        if env is not None and env != config.env:
            raise UsageError(f"--env: got {env!r}, allowed: {config.env!r}, as {path} has it")
        if env is None and ":" in config.env:
            raise UsageError(
                f"checkpoint {path}: its env is {config.env}, code that a checkpoint alone does not run, "
                f"allowed: with --env {config.env} (load(..., env={config.env!r}) in Python)"
            )
        models.append(_model(config))
        return models[0], lambda: _initial_state(config, models[0])

    checkpoint, config = load_checkpoint(path, begin)
    # Wherever it was trained: the CPU's physics is everywhere, and a replay on it leads through the very same states.
    config = dataclasses.replace(config, physics="cpu", device="cpu")
    return MetaPolicy(config, models[0], checkpoint.state, checkpoint.iteration)


def adapt(
    meta_policy: MetaPolicy, task: Task, gradient_steps: int = 1, episodes: int | None = None, seed: int = 0
) -> MetaPolicy:
    """A new policy, adapted to one task by `gradient_steps` policy-gradient steps, each on fresh episodes.

    A policy of RL^2 plays as many episodes instead, and remembers the first trial's.
    task: a goal in the family's own units, such as 1.7 (m/s) or (0.3, -0.2) (m). episodes: for each gradient step;
    None takes `config.episodes_per_task`. Raises ValueError for a task of another shape, gradient_steps below 0, or
    episodes below 1.
    """
    if gradient_steps < 0:
        raise ValueError(f"gradient_steps: got {gradient_steps}, allowed: an integer >= 0")
    setting, rollouts = _one_task(meta_policy, task, episodes, seed)
    # A key of its own for each step, also if they are taken one by one.
    first = meta_policy.gradient_steps
    *_, last = setting.algorithm.adapt(meta_policy.state, rollouts, gradient_steps, first)
    state = meta_policy.state | {name: part[0] for name, part in last.state_M.items()}
    return dataclasses.replace(meta_policy, state=state, gradient_steps=first + gradient_steps)


def roll_out(meta_policy: MetaPolicy, task: Task, episodes: int | None = None, seed: int = 0) -> Trajectories:
    """Episodes of one task [1, E, H, ...]: `.mean_return()` of them, `.observations`, `.actions`, `.rewards`, ...

    task, episodes: as in `adapt`. Raises ValueError for a task of another shape.
    """
    setting, rollouts = _one_task(meta_policy, task, episodes, seed)
    actor = next(iter(setting.algorithm.adapt(meta_policy.state, rollouts, 0, meta_policy.gradient_steps)))
    return rollouts.play(actor, meta_policy.gradient_steps)


def untrained(config: Config) -> MetaPolicy:
    """The policy that a run with that configuration begins with. Raises UsageError for a family that there is not."""
    model = _model(config)
    return MetaPolicy(config, model, _initial_state(config, model), 0)


def _model(config: Config) -> Policy:
    """The policy of a configuration, without parameters. Raises UsageError for a family that there is not."""
    if config.env not in envs.ENVS and ":" not in config.env:
        allowed = ", ".join(envs.ENVS)
        raise UsageError(f"checkpoint: env: got {config.env!r}, allowed: {allowed}{nearest(config.env, envs.ENVS)}")
    return make_model(config, make_family(config))


def _initial_state(config: Config, model: Policy) -> State:
    return make_algorithm(config).init(model, keyed(Purpose.INITIAL_PARAMETERS, config.seed))


def _found(path: str | Path) -> Path:
    """The path, if there is such a file or folder, or that of the shipped policy of this name. Raises UsageError."""
    shipped = shipped_policies()
    if not os.path.exists(path) and str(path) not in shipped:
        allowed = f"a run directory, a checkpoint file, or {', '.join(shipped)}{nearest(str(path), shipped)}"
        raise UsageError(f"got {str(path)!r}, which does not exist, allowed: {allowed}")
    return Path(path) if os.path.exists(path) else shipped[str(path)]


def _one_task(meta_policy: MetaPolicy, task: Task, episodes: int | None, seed: int) -> tuple[Setting, Rollouts]:
    """The problem of one task. Its draws are those of the Python interface."""
    episodes = meta_policy.config.episodes_per_task if episodes is None else episodes
    if episodes < 1:
        raise ValueError(f"episodes: got {episodes}, allowed: an integer >= 1")
    config = dataclasses.replace(meta_policy.config, num_tasks=1, episodes_per_task=episodes)
    setting = make_setting(config, family=make_family(meta_policy.config))
    tasks = as_tasks([task], setting.family, "task")
    return setting, setting.rollouts(tasks, Draws(Purpose.INTERFACE_EPISODES, seed))
