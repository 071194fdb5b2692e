"""Episodes of all tasks at once."""

import dataclasses
import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from envs import KeyedGenerator, TaskEnv, python_turn
from envs.task_env import SelfLimiting
from maml_rl.machine.threads import one_torch_thread, parallel_map
from maml_rl.meta.algorithm import Actor, Memory
from maml_rl.models.distributions import Categorical, Gaussian
from maml_rl.rl.trajectories import Trajectories


# PyTorch's threads would spin between its short operations, on the cores that the physics needs. Measured on 2 cores,
# 40 x 20 half-cheetahs, 200 steps of 1 substep: 1.2 s with one thread, 1.9 s with two.
@one_torch_thread()
def collect(
    env_parts: Sequence[TaskEnv],
    actor: Actor,
    tasks: Tensor,
    generator: KeyedGenerator,
    horizon: int,
) -> Trajectories:
    """Play `horizon` steps in every simulation, task i under the actor's i-th policy: an episode, and others after it.

    env_parts: the family, in parts that have the tasks one after another; each part runs in a thread of its own.
    actor: on the device where the trajectories are wanted; the env may live on another. tasks: [M, ...].
    generator: start states and noise come from its row of each task. horizon: the time limit of an episode; only a
    simulation's first can come to it, since every later one begins when fewer steps are left.
    """
    env, device, dtype = env_parts[0], actor.theta_M.device, actor.theta_M.dtype
    M, E = len(tasks), env.episodes_per_task

    def buffer(*shape: int, dtype: torch.dtype) -> Tensor:
        """[M, E, H, ...], with time first in memory: a step writes to one place."""
        return torch.empty(horizon, M, E, *shape, dtype=dtype, device=device).movedim(0, 2)

    whole = Trajectories(
        observations=buffer(env.observation_size, dtype=dtype),
        actions=buffer(env.action_size, dtype=dtype),
        rewards=buffer(dtype=env.dtype),
        times=buffer(dtype=torch.int64),
        terminated=buffer(dtype=torch.bool),
        final_observations=torch.empty(M, E, env.observation_size, dtype=dtype, device=device),
        diverged=torch.empty(M, E, dtype=torch.bool, device=device),
        outputs=buffer(env.action_size, dtype=dtype),
    )
    if isinstance(env, SelfLimiting):
        whole = dataclasses.replace(
            whole,
            truncated=buffer(dtype=torch.bool),
            cut_observations=buffer(env.observation_size, dtype=dtype),
            successes=torch.empty(M, E, dtype=torch.float64, device=device),
        )
    cancelled = threading.Event()

    def roll_out_part(part: int) -> None:
        first = sum(each.num_tasks for each in env_parts[:part])
        rows = slice(first, first + env_parts[part].num_tasks)
        with python_turn():
            part_generator = generator.from_task(first)
            _roll_out(env_parts[part], actor.tasks(rows), tasks[rows], part_generator, whole.tasks(rows), cancelled)

    parallel_map(roll_out_part, range(len(env_parts)), cancel=cancelled.set)
    rated = whole.successes.numel() and not whole.successes.isnan().any()
    return dataclasses.replace(whole, successes=whole.successes > 0 if rated else torch.empty(0))


@torch.no_grad()
def _roll_out(
    env: TaskEnv,
    actor: Actor,
    tasks: Tensor,
    generator: KeyedGenerator,
    out: Trajectories,
    cancelled: threading.Event,
) -> None:
    """Fill `out` with the episodes of one part of the tasks, or return early if `cancelled`."""
    M, E, horizon = out.rewards.shape
    device, dtype = actor.theta_M.device, actor.theta_M.dtype
    observations_t = env.reset(tasks, generator)  # [M, E, O]
    kind = Categorical if env.discrete else Gaussian
    noise = kind.draw_noise(generator, (M, E, horizon, env.action_size), dtype).movedim(2, 0).to(device).contiguous()
    memory: Memory = None
    times = torch.zeros(M, E, dtype=torch.int64, device=device)
    rewards, terminated = [], []
    for t in range(horizon):
        if cancelled.is_set():
            return
        out.observations[:, :, t] = observations_t  # to the policy's device and dtype
        distribution, memory = actor(out.observations[:, :, t], memory)
        out.outputs[:, :, t] = distribution[0]
        out.actions[:, :, t] = distribution.sample(noise[t])
        observations_t, rewards_t, ended = env.step(out.actions[:, :, t].to(env.device, env.dtype))
        rewards.append(rewards_t)
        out.times[:, :, t] = times
        times += 1
        if isinstance(env, SelfLimiting):
            truncated = env.truncated()
            out.truncated[:, :, t], out.cut_observations[:, :, t] = truncated, observations_t
            out.successes.copy_(env.successes().to(device).where(times == t + 1, out.successes))
            terminated.append(ended & ~truncated)
        else:
            terminated.append(ended)
        # On a GPU `any` waits for the device, which families without an early end are spared.
        if env.terminates and t + 1 < horizon and ended.any():
            observations_t = env.restart(ended)
            times.masked_fill_(ended.to(device), 0)

    out.rewards.copy_(torch.stack(rewards, dim=-1))
    out.terminated.copy_(torch.stack(terminated, dim=-1))
    out.diverged.copy_(env.diverged())
    out.final_observations.copy_(observations_t)
