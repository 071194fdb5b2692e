"""Families of tasks: physics, rewards, observations. The contract is in `envs.task_env`."""

import os
from collections.abc import Callable
from typing import Literal

# MuJoCo reads MUJOCO_GL when it is imported, and fails where that backend is missing, also for those who want no
# pictures. `envs.offscreen` reads it when someone does.
_gl = os.environ.pop("MUJOCO_GL", None)
import mujoco as _mujoco  # noqa: E402, F401

if _gl is not None:
    os.environ["MUJOCO_GL"] = _gl

from envs.ant import ant_dir, ant_goal, ant_vel  # noqa: E402
from envs.half_cheetah import half_cheetah_dir, half_cheetah_vel  # noqa: E402
from envs.humanoid import humanoid_dir  # noqa: E402
from envs.keyed_generator import KeyedGenerator  # noqa: E402
from envs.navigation import navigation_2d  # noqa: E402
from envs.oracle import OracleEnv  # noqa: E402
from envs.planar_walker import hopper_rand_params, walker_dir, walker_rand_params  # noqa: E402
from envs.task_env import TaskEnv  # noqa: E402
from envs.turns import python_turn  # noqa: E402

__all__ = ["ENVS", "KeyedGenerator", "OracleEnv", "TaskEnv", "make", "python_turn"]

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

    variant: the published definition to follow, where they differ (Finn et al. 2017, or ProMP, Rothfuss et al. 2019).
    num_threads: threads of the physics, 0 for one per CPU. Raises ValueError for a name that is not in ENVS.
    """
    if name not in ENVS:
        raise ValueError(f"unknown env {name!r}, allowed: {', '.join(ENVS)}")
    return ENVS[name](num_tasks, episodes_per_task, variant=variant, num_threads=num_threads)
