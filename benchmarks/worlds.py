"""Sampling on MuJoCo Warp at growing numbers of worlds: env steps per second, and where the time goes.

The shares are those of the device's own time in the kernels of one rollout by PyTorch's profiler, which sees Warp's
too; on the CPU, where Warp's graphs are no kernels to it, those of the wall time of the physics, of the policy, and of
the rest, each measured on its own. physics: `step` of the family without rewards and observations.
"""

import json
from dataclasses import dataclass
from typing import Literal

import torch
import tyro

import envs
from benchmarks.measure import machine, median_seconds, peak_memory_gb, synchronize
from envs import KeyedGenerator
from envs.ant import Ant
from envs.half_cheetah import HalfCheetah
from envs.humanoid import HumanoidDir
from envs.planar_walker import PlanarWalker
from maml_rl.config import Config, merge
from maml_rl.parallel import one_torch_thread, use_threads
from maml_rl.policies import MlpPolicy
from maml_rl.sampler import collect
from maml_rl.wiring import choose_device, make_envs


@dataclass(frozen=True)
class Options:
    env: str = "halfcheetah-vel"
    variant: Literal["maml", "promp"] = "maml"
    worlds: tuple[int, ...] = (800, 8_000, 80_000)
    """Numbers of simulations, in tasks of 20 episodes."""
    horizon: int = 200
    repeats: int = 3
    device: Literal["auto", "cpu", "cuda"] = "auto"
    physics: Literal["auto", "cpu", "warp"] = "warp"


@torch.no_grad()
@one_torch_thread()
def measure(options: Options, worlds: int) -> dict[str, float]:
    """Medians over the repeats, the first rollout left out: it compiles and records."""
    device = choose_device(options.device)
    num_tasks, episodes = (worlds // 20, 20) if worlds >= 20 else (1, worlds)
    values = {"env": options.env, "variant": options.variant, "num_tasks": num_tasks, "episodes_per_task": episodes}
    [env] = make_envs(merge(Config(), values | {"device": options.device, "physics": options.physics}), parts=1)
    assert isinstance(env, Ant | HalfCheetah | HumanoidDir | PlanarWalker)
    policy = MlpPolicy(env.observation_size, env.action_size)
    theta_M = policy.initial_parameters(KeyedGenerator(1)).to(device).expand(num_tasks, -1).contiguous()
    tasks = env.sample_tasks(num_tasks, KeyedGenerator(1, 0))
    substeps = round(env.dt / env.physics.model.opt.timestep)
    observations = torch.zeros(num_tasks, episodes, env.observation_size, device=device)
    noise = torch.zeros(num_tasks, episodes, env.action_size, device=device)

    def sample() -> None:
        collect([env], policy, theta_M, tasks, KeyedGenerator(1, 1), options.horizon)

    def physics() -> None:
        for _ in range(options.horizon):
            env.physics.step(substeps)

    def act() -> None:
        distribution = policy.at(theta_M)
        for _ in range(options.horizon):
            distribution(observations).sample(noise)

    seconds = median_seconds(sample, physics, act, repeats=options.repeats, device=device)
    sampling, stepping, acting = seconds
    row = {
        "worlds": num_tasks * episodes,
        "env_steps_per_second": round(num_tasks * episodes * options.horizon / sampling),
        "seconds": round(sampling, 3),
        "physics_share": round(stepping / sampling, 3),
        "policy_share": round(acting / sampling, 3),
        "rest_share": round(1 - (stepping + acting) / sampling, 3),
    }
    if device.type == "cuda":
        row["device_busy_share"] = round(_kernel_seconds(sample, device) / sampling, 3)
        row["peak_device_memory_gb"] = round(torch.cuda.max_memory_reserved(device) / 1e9, 2)
    return row | {"peak_memory_gb": round(peak_memory_gb(), 2)}
