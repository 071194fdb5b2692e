"""Sampling at growing numbers of simulations (MuJoCo Warp: worlds): env steps per second, and where the time goes.

physics_share and policy_share are the seconds of the horizon's physics alone, and of its policy alone, over those of
`collect`; the rest is rewards, observations, draws and copies. On CUDA PyTorch's profiler adds the share of `collect`
in which the device computes at all, and the share of that which Warp's kernels have.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, supported_activities

from benchmarks.command import run
from benchmarks.measure import machine, median_seconds, peak_memory_gb
from benchmarks.train_flags import Simulated
from maml_rl.envs import KeyedGenerator
from maml_rl.envs.locomotion.mujoco_env import MujocoSimulation
from maml_rl.machine.threads import one_torch_thread, use_threads
from maml_rl.meta.algorithm import FeedForward
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import choose_physics, make_family
from maml_rl.options.size import check_size
from maml_rl.rl.sampler import collect
from maml_rl.schema.bounds import Count

WARP_KERNEL = "_cuda_kernel_forward"  # ends the names of what Warp compiles


@dataclass(frozen=True)
class Options:
    env: Simulated = "halfcheetah-vel"
    variant: Literal["maml", "promp"] = "maml"
    worlds: tuple[Count, ...] = ()
    """Numbers of simulations, in tasks of 20 episodes. Default: 800, 8,000 and 80,000 on CUDA, else 80 and 800."""
    horizon: Count = 200
    repeats: Count = 3
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"


@torch.no_grad()
@one_torch_thread()
def measure(options: Options, worlds: int) -> dict[str, float]:
    """Medians over the repeats, the first turn left out: it compiles and records."""
    device = choose_device(options.device)
    num_tasks, episodes = (worlds // 20, 20) if worlds >= 20 else (1, worlds)
    values = {"env": options.env, "variant": options.variant, "num_tasks": num_tasks, "episodes_per_task": episodes}
    values |= {"horizon": options.horizon}
    config = configure(RlConfig(), values | {"device": options.device, "physics": options.physics})
    family = make_family(config)
    policy = MlpPolicy(family.observation_size, family.action_size)
    check_size(config, family, policy, num_tasks, device)
    env = family.simulate(num_tasks, episodes, make_physics=choose_physics(config))
    assert isinstance(env, MujocoSimulation)
    theta_M = policy.initial_parameters(KeyedGenerator(1)).to(device).expand(num_tasks, -1).contiguous()
    tasks = family.sample_tasks(num_tasks, KeyedGenerator(1, 0))
    substeps = round(family.dt / env.physics.model.opt.timestep)
    observations = torch.zeros(num_tasks, episodes, family.observation_size, device=device)
    noise = torch.zeros(num_tasks, episodes, family.action_size, device=device)

    def sample() -> None:
        collect(family, [env], FeedForward(policy, theta_M), tasks, KeyedGenerator(1, 1), options.horizon)

    def physics() -> None:
        env.physics.reset()
        for _ in range(options.horizon):
            env.physics.step(substeps)

    def act() -> None:
        distribution = policy.at(theta_M)
        for _ in range(options.horizon):
            distribution(observations).sample(noise)

    sampling, stepping, acting = median_seconds(sample, physics, act, repeats=options.repeats, device=device)
    row = {
        "worlds": num_tasks * episodes,
        "env_steps_per_second": round(num_tasks * episodes * options.horizon / sampling),
        "seconds": round(sampling, 3),
        "physics_share": round(stepping / sampling, 3),
        "policy_share": round(acting / sampling, 3),
        "rest_share": round(1 - (stepping + acting) / sampling, 3),
    }
    if device.type == "cuda":
        kernels = kernel_seconds(sample)
        busy, warp = sum(kernels.values()), sum(value for name, value in kernels.items() if WARP_KERNEL in name)
        row |= {"device_busy_share": round(busy / sampling, 3), "warp_kernels_share": round(warp / busy, 3)}
        row |= {"peak_device_memory_gb": round(used_memory_gb(device), 2)}
    return row | {"peak_memory_gb": round(peak_memory_gb(), 2)}


def kernel_seconds(function: Callable[[], object]) -> dict[str, float]:
    """Seconds on the device in each kernel, copy and fill that a call of `function` launches."""
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    here = [each for each in activities if each in supported_activities()]
    with profile(activities=here, acc_events=True) as profiler:  # without it PyTorch warns that a next cycle forgets
        function()
    on_device = [event for event in profiler.key_averages() if event.device_type != DeviceType.CPU]
    return {event.key: event.self_device_time_total / 1e6 for event in on_device}


def used_memory_gb(device: torch.device) -> float:
    """Memory in use on the device, GB: Warp's and PyTorch's."""
    free, total = torch.cuda.mem_get_info(device)
    return (total - free) / 1e9


def result(options: Options, _: Sequence[str]) -> dict[str, Any]:
    use_threads(0)
    device = choose_device(options.device)
    sweep = options.worlds or ((800, 8_000, 80_000) if device.type == "cuda" else (80, 800))
    rows = [measure(options, worlds) for worlds in sweep]
    setting = {"env": options.env, "variant": options.variant, "physics": options.physics}
    return setting | {"results": rows} | machine(device)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    return run("worlds", Options, str(__doc__), result, argv)


if __name__ == "__main__":
    sys.exit(main())
