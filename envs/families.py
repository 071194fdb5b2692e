"""All families, by the names that `--env` takes."""

from functools import partial
from typing import Literal

from envs.errors import FamilyError
from envs.family import Family
from envs.locomotion.ant import ant_dir, ant_goal, ant_vel
from envs.locomotion.half_cheetah import half_cheetah_dir, half_cheetah_vel
from envs.locomotion.humanoid import humanoid_dir
from envs.locomotion.planar_walker import hopper_rand_params, walker_dir, walker_rand_params
from envs.physics.contract import Simulate
from envs.physics.cpu import CpuPhysics
from envs.task_env import TaskEnv
from envs.toys.bandit import bandit, bandit_10, bandit_50
from envs.toys.navigation import navigation_2d
from envs.toys.tabular_mdp import tabular_mdp

MAML, PROMP, RL2 = "Finn et al. 2017", "Rothfuss et al. 2019", "Duan et al. 2016"
RANDOM_BODY = "masses, inertias, frictions times 1.5^x, dampings times 1.3^x, x in [-3, 3]"

ENVS: dict[str, Family] = {
    "ant-dir": Family(ant_dir, "run in a direction", "forward, backward (promp: the unit circle)", MAML),
    "ant-goal": Family(ant_goal, "run to a place", "a disc of 3 m", PROMP),
    "ant-vel": Family(ant_vel, "run at a speed", "[0, 3] m/s", MAML),
    "bandit": Family(bandit, "find the best of 5 arms", "chances to pay in [0, 1]", RL2, physics=False),
    "bandit-10": Family(bandit_10, "find the best of 10 arms", "chances to pay in [0, 1]", RL2, physics=False),
    "bandit-50": Family(bandit_50, "find the best of 50 arms", "chances to pay in [0, 1]", RL2, physics=False),
    "halfcheetah-dir": Family(half_cheetah_dir, "run in a direction", "forward, backward", MAML),
    "halfcheetah-vel": Family(half_cheetah_vel, "run at a speed", "[0, 2] m/s (promp: [0, 3])", MAML),
    "hopper-rand-params": Family(hopper_rand_params, "hop with a random body", RANDOM_BODY, PROMP),
    "humanoid-dir": Family(humanoid_dir, "walk in a direction", "the unit circle", PROMP),
    "navigation-2d": Family(navigation_2d, "go to a place", "[-0.5, 0.5]^2 m", MAML, physics=False),
    "tabular-mdp": Family(
        tabular_mdp,
        "earn in a random process of 10 states",
        "transitions Dirichlet(1), mean rewards N(1, 1)",
        RL2,
        physics=False,
    ),
    "walker-dir": Family(walker_dir, "walk in a direction", "forward, backward", PROMP),
    "walker-rand-params": Family(walker_rand_params, "walk with a random body", RANDOM_BODY, PROMP),
}


def make(
    name: str,
    num_tasks: int,
    episodes_per_task: int,
    variant: Literal["maml", "promp"] = "maml",
    num_threads: int = 0,
    simulate: Simulate | None = None,
) -> TaskEnv:
    """Build the family `name` for `num_tasks` tasks and `episodes_per_task` episodes of each at once.

    name: of ENVS, or a class of the user's as "module:Class" (`envs.user.bridge`).
    variant: the published definition to follow, where they differ (Finn et al. 2017, or ProMP, Rothfuss et al. 2019).
    num_threads: threads of the physics, or worker processes of a user's class; 0 for one per CPU.
    simulate: what makes the physics, instead of `CpuPhysics`: a partial of `envs.physics.warp.WarpPhysics`.

    Raises ValueError for a name that is not in ENVS, and FamilyError where the class does not keep its part, or where
    `simulate` is given for what MuJoCo does not simulate.
    """
    if simulate and not has_physics(name):
        raise FamilyError(f"{name} does not run on warp: it has no physics of MuJoCo's")
    if ":" in name:
        from envs.user.bridge import GymnasiumBridge  # Gymnasium takes a while to import

        return GymnasiumBridge(name, num_tasks, episodes_per_task, num_threads)
    if name not in ENVS:
        raise ValueError(f"unknown env {name!r}, allowed: {', '.join(ENVS)}")
    if variant not in ("maml", "promp"):
        raise ValueError(f"variant: got {variant!r}, allowed: 'maml', 'promp'")
    family = ENVS[name]
    if not family.physics:
        return family.make(num_tasks, episodes_per_task, variant=variant)
    simulate = simulate or partial(CpuPhysics, num_threads=num_threads)
    return family.make(num_tasks, episodes_per_task, variant=variant, simulate=simulate)


def has_physics(name: str) -> bool:
    """Whether MuJoCo simulates the family `name`: not a class of the user's, which brings its own."""
    return name in ENVS and ENVS[name].physics
