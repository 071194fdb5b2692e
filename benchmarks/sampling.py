"""Env steps per second of `collect`, over those of a bare `Batch.step` loop.

Both run the same episodes: the loop starts from the same states and replays the same controls, with the same
simulations, substeps and threads. Simulations rest in both once their episode has terminated.
"""

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import tyro

import envs
from benchmarks.measure import machine, median_seconds
from envs import KeyedGenerator
from envs.ant import Ant
from envs.half_cheetah import HalfCheetah
from envs.humanoid import HumanoidDir
from envs.planar_walker import PlanarWalker
from maml_rl.config import Config, merge
from maml_rl.parallel import use_threads
from maml_rl.policies import MlpPolicy
from maml_rl.sampler import collect
from maml_rl.wiring import choose_device, make_envs


@dataclass(frozen=True)
class Options:
    env: str = "halfcheetah-vel"
    num_tasks: int = 40
    episodes_per_task: int = 20
    horizon: int = 200
    repeats: int = 5
    device: Literal["auto", "cpu", "cuda"] = "cpu"


def measure(options: Options, variant: Literal["maml", "promp"]) -> dict[str, float | str]:
    device = choose_device(options.device)
    values = {"env": options.env, "variant": variant}
    values |= {"num_tasks": options.num_tasks, "episodes_per_task": options.episodes_per_task}
    env_parts = make_envs(merge(Config(), values))
    env = envs.make(options.env, options.num_tasks, options.episodes_per_task, variant)
    assert isinstance(env, Ant | HalfCheetah | HumanoidDir | PlanarWalker)
    policy = MlpPolicy(env.observation_size, env.action_size)
    theta_M = policy.initial_parameters(KeyedGenerator(1)).to(device).expand(options.num_tasks, -1).contiguous()
    tasks = env.sample_tasks(options.num_tasks, KeyedGenerator(1, 0))
    substeps = round(env.dt / env.physics.model.opt.timestep)

    def sample() -> torch.Tensor:
        return collect(env_parts, policy, theta_M, tasks, KeyedGenerator(1, 1), options.horizon).actions

    actions = sample().double().cpu().unbind(dim=2)
    env.reset(tasks, KeyedGenerator(1, 1))
    start = env.physics.batch.state.copy()
    steps: list[tuple[np.ndarray | None, torch.Tensor]] = []
    for action in actions:
        running = env.physics.running
        env.step(action)
        steps.append((running, env.physics.ctrl.clone()))

    def loop() -> None:
        env.physics.batch.state[:] = start
        for running, control in steps:
            env.physics.ctrl.copy_(control)
            env.physics.batch.step(running, nstep=substeps)

    simulations = options.num_tasks * options.episodes_per_task
    env_steps = sum(simulations if running is None else len(running) for running, _ in steps)
    sampling, physics = median_seconds(sample, loop, repeats=options.repeats, device=device)
    return {
        "variant": variant,
        "substeps": substeps,
        "steps_before_the_end": round(env_steps / simulations, 1),
        "collect_steps_per_second": round(env_steps / sampling),
        "physics_steps_per_second": round(env_steps / physics),
        "ratio": round(physics / sampling, 3),
    }


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    use_threads(0)
    results = [measure(options, variant) for variant in ("maml", "promp")]
    print(json.dumps({"benchmark": "sampling", "results": results} | machine(choose_device(options.device))))
