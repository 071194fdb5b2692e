"""Episodes of all tasks at once."""

import dataclasses
import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from maml_rl.envs import Family, KeyedGenerator, Simulation, python_turn
from maml_rl.machine.threads import one_torch_thread, parallel_map
from maml_rl.meta.algorithm import Actor, Memory
from maml_rl.models.distributions import Categorical, Gaussian
from maml_rl.rl.trajectories import Trajectories


class NotFinite(ArithmeticError):
    """A policy, or an action of it, is no number. It is raised before an environment sees it."""

    def __init__(self, task: int, fault: str, largest: float) -> None:
        """task: its row. largest: magnitude of an observation that the policy has seen."""
        super().__init__(f"task {task}: {fault}")
        self.task, self.fault, self.largest = task, fault, largest


# PyTorch's threads would spin between its short operations, on the cores that the physics needs. Measured on 2 cores,
# 40 x 20 half-cheetahs, 200 steps of 1 substep: 1.2 s with one thread, 1.9 s with two.
@one_torch_thread()
def collect(
    family: Family,
    simulations: Sequence[Simulation],
    actor: Actor,
    tasks: Tensor,
    generator: KeyedGenerator,
    horizon: int,
) -> Trajectories:
    """Play `horizon` steps in every simulation, task i under the actor's i-th policy: an episode, and others after it.

    simulations: of the family, for the tasks one part after another; each runs in a thread of its own. actor: on the
    device that the trajectories are wanted on; the simulations may live on another. tasks: [M, ...].
    generator: start states and noise come from its row of each task. horizon: the time limit of an episode; only a
    simulation's first can come to it, since every later one begins when fewer steps are left. Raises NotFinite.
    """
    _check_finite(actor.theta_M, "its parameters are not finite")
    device, dtype = actor.theta_M.device, actor.theta_M.dtype
    M, E = len(tasks), simulations[0].episodes_per_task

    def buffer(*shape: int, dtype: torch.dtype) -> Tensor:
        """[M, E, H, ...], with time first in memory: a step writes to one place."""
        return torch.empty(horizon, M, E, *shape, dtype=dtype, device=device).movedim(0, 2)

    whole = Trajectories(
        observations=buffer(family.observation_size, dtype=dtype),
        actions=buffer(family.action_size, dtype=dtype),
        rewards=buffer(dtype=simulations[0].dtype),
        times=buffer(dtype=torch.int64),
        terminated=buffer(dtype=torch.bool),
        truncated=buffer(dtype=torch.bool).zero_(),
        final_observations=torch.empty(M, E, family.observation_size, dtype=dtype, device=device),
        diverged=torch.empty(M, E, dtype=torch.bool, device=device),
        outputs=buffer(family.action_size, dtype=dtype),
    )
    if family.truncates:
        whole = dataclasses.replace(
            whole,
            cut_observations=buffer(family.observation_size, dtype=dtype),
            successes=torch.empty(M, E, dtype=torch.float64, device=device),
        )
    cancelled = threading.Event()

    def roll_out_part(part: int) -> Memory:
        first = sum(each.num_tasks for each in simulations[:part])
        rows = slice(first, first + simulations[part].num_tasks)
        with python_turn():
            streams, out = generator.from_task(first), whole.rows(rows)
            return _roll_out(family, simulations[part], actor.rows(rows), tasks[rows], streams, first, out, cancelled)

    memories = parallel_map(roll_out_part, range(len(simulations)), cancel=cancelled.set)
    kept = [memory for memory in memories if memory is not None]
    return dataclasses.replace(whole, memory=torch.cat(kept)) if kept else whole


@torch.no_grad()
def _roll_out(
    family: Family,
    simulation: Simulation,
    actor: Actor,
    tasks: Tensor,
    generator: KeyedGenerator,
    first: int,
    out: Trajectories,
    cancelled: threading.Event,
) -> Memory:
    """Fill `out` with the episodes of one part of the tasks, the first-th and later ones, or return if `cancelled`.

    Returns the actor's memory after the last step.
    """
    M, E, horizon = out.rewards.shape
    device, dtype = actor.theta_M.device, actor.theta_M.dtype
    observations_t = simulation.reset(tasks, generator)  # [M, E, O]
    kind = Categorical if family.choices else Gaussian
    noise = kind.draw_noise(generator, (M, E, horizon, family.action_size), dtype).movedim(2, 0).to(device).contiguous()
    memory: Memory = None
    times = torch.zeros(M, E, dtype=torch.int64, device=device)
    rewards, terminated = [], []
    for t in range(horizon):
        if cancelled.is_set():
            return None
        out.observations[:, :, t] = observations_t  # to the policy's device and dtype
        distribution, memory = actor(out.observations[:, :, t], memory)
        out.outputs[:, :, t] = distribution[0]
        out.actions[:, :, t] = distribution.sample(noise[t])
        actions = out.actions[:, :, t].to(simulation.device, simulation.dtype)
        # On a GPU the check would wait for the device at every step: there it is made in the end.
        if simulation.device.type == "cpu":
            _check_finite(actions, "its policy gave actions that are not finite", out.observations[:, :, t], first)
        step = simulation.step(actions)
        observations_t, ended = step.observations, step.terminated
        rewards.append(step.rewards)
        terminated.append(step.terminated)
        out.times[:, :, t] = times
        times += 1
        if family.truncates:
            out.truncated[:, :, t], out.cut_observations[:, :, t] = step.truncated, observations_t
            assert step.successes is not None, "a family that truncates says whether tasks were met"
            out.successes.copy_(step.successes.to(device).where(times == t + 1, out.successes))
            ended = step.terminated | step.truncated
        # On a GPU `any` waits for the device, which families without an early end are spared.
        if family.terminates and t + 1 < horizon and ended.any():
            observations_t = simulation.restart(ended)
            times.masked_fill_(ended.to(device), 0)

    if simulation.device.type != "cpu":
        _check_finite(out.actions, "its policy gave actions that are not finite", out.observations, first)
    out.rewards.copy_(torch.stack(rewards, dim=-1))
    out.terminated.copy_(torch.stack(terminated, dim=-1))
    out.diverged.copy_(simulation.diverged())
    out.final_observations.copy_(observations_t)
    return memory


def _check_finite(values: Tensor, fault: str, observations: Tensor | None = None, first: int = 0) -> None:
    """Raise NotFinite for the first of the tasks whose values [M, ...] are not finite.

    observations: [M, ...], that the policies have seen. first: the number of task 0.
    """
    if not values.isfinite().all():
        task = int(values.isfinite().flatten(1).all(dim=1).logical_not().nonzero()[0])
        raise NotFinite(first + task, fault, 0.0 if observations is None else magnitude(observations[task]))


def magnitude(values: Tensor) -> float:
    """The largest one of the values that are numbers."""
    return float(values.nan_to_num(nan=0.0).abs().max())
