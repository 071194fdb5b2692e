"""Env steps per second of `collect`, over those of the physics alone: on the CPU a bare `Batch.step` loop.

Both run the same episodes: the loop starts from the same states and replays the same controls, with the same
simulations, substeps and threads. A simulation whose episode ends is put back to its start in both.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from benchmarks.command import run
from benchmarks.measure import machine, median_seconds
from benchmarks.train_flags import Simulated
from maml_rl.envs import KeyedGenerator
from maml_rl.envs.locomotion.mujoco_env import MujocoSimulation
from maml_rl.machine.threads import use_threads
from maml_rl.meta.algorithm import FeedForward
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import choose_physics, make_family, make_simulations
from maml_rl.options.size import check_size
from maml_rl.rl.sampler import collect
from maml_rl.schema.bounds import Count


@dataclass(frozen=True)
class Options:
    env: Simulated = "halfcheetah-vel"
    num_tasks: Count = 40
    episodes_per_task: Count = 20
    horizon: Count = 200
    repeats: Count = 5
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"


def measure(options: Options, variant: Literal["maml", "promp"]) -> dict[str, float | str]:
    device = choose_device(options.device)
    values = {"env": options.env, "variant": variant}
    values |= {"num_tasks": options.num_tasks, "episodes_per_task": options.episodes_per_task}
    values |= {"horizon": options.horizon}
    config = configure(RlConfig(), values | {"device": options.device, "physics": options.physics})
    family = make_family(config)
    policy = MlpPolicy(family.observation_size, family.action_size)
    check_size(config, family, policy, options.num_tasks, device)
    make_physics = choose_physics(config)
    simulations = make_simulations(config, family, make_physics)
    env = family.simulate(config.num_tasks, config.episodes_per_task, config.num_threads, make_physics)
    assert isinstance(env, MujocoSimulation)
    theta_M = policy.initial_parameters(KeyedGenerator(1)).to(device).expand(options.num_tasks, -1).contiguous()
    actor = FeedForward(policy, theta_M)
    tasks = family.sample_tasks(options.num_tasks, KeyedGenerator(1, 0))
    substeps = round(family.dt / env.physics.model.opt.timestep)

    def sample() -> torch.Tensor:
        return collect(family, simulations, actor, tasks, KeyedGenerator(1, 1), options.horizon).actions

    actions = sample().to(env.device, env.dtype).unbind(dim=2)
    env.reset(tasks, KeyedGenerator(1, 1))
    qpos, qvel = env.physics.qpos.clone(), env.physics.qvel.clone()
    controls, ends = [], []
    for action in actions:
        ends.append(env.step(action).terminated.clone())
        controls.append(env.physics.ctrl.clone())
        if ends[-1].any():
            env.restart(ends[-1])

    def loop() -> None:
        env.physics.reset()
        env.physics.qpos.copy_(qpos)
        env.physics.qvel.copy_(qvel)
        for control, ended in zip(controls, ends, strict=True):
            env.physics.ctrl.copy_(control)
            env.physics.step(substeps)
            if ended.any():
                env.physics.restart(ended)
                env.physics.qpos[ended], env.physics.qvel[ended] = qpos[ended], qvel[ended]

    episodes = options.num_tasks * options.episodes_per_task
    env_steps = episodes * options.horizon
    sampling, physics = median_seconds(sample, loop, repeats=options.repeats, device=device)
    return {
        "variant": variant,
        "substeps": substeps,
        "episodes_per_simulation": round(1 + float(torch.stack(ends).sum()) / episodes, 1),
        "collect_steps_per_second": round(env_steps / sampling),
        "physics_steps_per_second": round(env_steps / physics),
        "ratio": round(physics / sampling, 3),
    }


def result(options: Options, _: Sequence[str]) -> dict[str, Any]:
    use_threads(0)
    results = [measure(options, variant) for variant in ("maml", "promp")]
    setting = {"env": options.env, "physics": options.physics, "results": results}
    return setting | machine(choose_device(options.device))


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    return run("sampling", Options, str(__doc__), result, argv)


if __name__ == "__main__":
    sys.exit(main())
