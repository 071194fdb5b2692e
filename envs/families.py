"""All families, by the names that `--env` takes."""

from collections.abc import Callable
from typing import Literal

from envs.ant import ant_dir, ant_goal, ant_vel
from envs.half_cheetah import half_cheetah_dir, half_cheetah_vel
from envs.humanoid import humanoid_dir
from envs.navigation import navigation_2d
from envs.planar_walker import hopper_rand_params, walker_dir, walker_rand_params
from envs.task_env import TaskEnv

ENVS: dict[str, Callable[..., TaskEnv]] = {
    "ant-dir": ant_dir,
    "ant-goal": ant_goal,
    "ant-vel": ant_vel,
    "halfcheetah-dir": half_cheetah_dir,
    "halfcheetah-vel": half_cheetah_vel,
    "hopper-rand-params": hopper_rand_params,
    "humanoid-dir": humanoid_dir,
    "navigation-2d": navigation_2d,
    "walker-dir": walker_dir,
    "walker-rand-params": walker_rand_params,
}


def make(
    name: str,
    num_tasks: int,
    episodes_per_task: int,
    variant: Literal["maml", "promp"] = "maml",
    num_threads: int = 0,
) -> TaskEnv:
    """Build the family `name` for `num_tasks` tasks and `episodes_per_task` episodes of each at once.

    name: of ENVS, or a class of the user's as "module:Class" (`envs.gymnasium_bridge`).
    variant: the published definition to follow, where they differ (Finn et al. 2017, or ProMP, Rothfuss et al. 2019).
    num_threads: threads of the physics, or worker processes of a user's class; 0 for one per CPU. Raises ValueError
    for a name that is not in ENVS, and FamilyError where the class does not keep its part.
    """
    if ":" in name:
        from envs.gymnasium_bridge import GymnasiumBridge  # Gymnasium takes a while to import

        return GymnasiumBridge(name, num_tasks, episodes_per_task, num_threads)
    if name not in ENVS:
        raise ValueError(f"unknown env {name!r}, allowed: {', '.join(ENVS)}")
    return ENVS[name](num_tasks, episodes_per_task, variant=variant, num_threads=num_threads)
