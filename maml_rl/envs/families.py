"""All families, by the names that `--env` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from maml_rl.envs.family import Family
from maml_rl.envs.locomotion.ant import ant_dir, ant_goal, ant_vel
from maml_rl.envs.locomotion.half_cheetah import half_cheetah_dir, half_cheetah_vel
from maml_rl.envs.locomotion.humanoid import humanoid_dir
from maml_rl.envs.locomotion.planar_walker import hopper_rand_params, walker_dir, walker_rand_params
from maml_rl.envs.toys.bandit import bandit, bandit_10, bandit_50
from maml_rl.envs.toys.navigation import navigation_2d
from maml_rl.envs.toys.tabular_mdp import tabular_mdp


@dataclass(frozen=True)
class Row:
    """A constructor, and the words for `--list-envs`."""

    make: Callable[[Literal["maml", "promp"]], Family]
    task: str  # what a task is
    range: str  # what tasks are drawn from
    source: str
    physics: bool = True  # whether it is simulated by MuJoCo


MAML, PROMP, RL2 = "Finn et al. 2017", "Rothfuss et al. 2019", "Duan et al. 2016"
RANDOM_BODY = "masses, inertias, frictions times 1.5^x, dampings times 1.3^x, x in [-3, 3]"

ENVS: dict[str, Row] = {
    "ant-dir": Row(ant_dir, "run in a direction", "forward, backward (promp: the unit circle)", MAML),
    "ant-goal": Row(ant_goal, "run to a place", "a disc of 3 m", PROMP),
    "ant-vel": Row(ant_vel, "run at a speed", "[0, 3] m/s", MAML),
    "bandit": Row(bandit, "find the best of 5 arms", "chances to pay in [0, 1]", RL2, physics=False),
    "bandit-10": Row(bandit_10, "find the best of 10 arms", "chances to pay in [0, 1]", RL2, physics=False),
    "bandit-50": Row(bandit_50, "find the best of 50 arms", "chances to pay in [0, 1]", RL2, physics=False),
    "halfcheetah-dir": Row(half_cheetah_dir, "run in a direction", "forward, backward", MAML),
    "halfcheetah-vel": Row(half_cheetah_vel, "run at a speed", "[0, 2] m/s (promp: [0, 3])", MAML),
    "hopper-rand-params": Row(hopper_rand_params, "hop with a random body", RANDOM_BODY, PROMP),
    "humanoid-dir": Row(humanoid_dir, "walk in a direction", "the unit circle", PROMP),
    "navigation-2d": Row(navigation_2d, "go to a place", "x and y in [-0.5, 0.5] m", MAML, physics=False),
    "tabular-mdp": Row(
        tabular_mdp,
        "earn in a random process of 10 states",
        "transitions Dirichlet(1), mean rewards N(1, 1)",
        RL2,
        physics=False,
    ),
    "walker-dir": Row(walker_dir, "walk in a direction", "forward, backward", PROMP),
    "walker-rand-params": Row(walker_rand_params, "walk with a random body", RANDOM_BODY, PROMP),
}


def make_family(name: str, variant: Literal["maml", "promp"] = "maml", num_tasks: int = 1) -> Family:
    """The family `name`.

    name: of ENVS, or a class of the user's as "module:Class" (`maml_rl.envs.user.bridge`).
    variant: the published definition to follow, if they differ (Finn et al. 2017, or ProMP, Rothfuss et al. 2019).
    num_tasks: of a meta-batch, which a class of the user's may want to know.

    Raises ValueError for a name that is not in ENVS, and FamilyError if the class does not keep its part.
    """
    if ":" in name:
        from maml_rl.envs.user.bridge import GymnasiumFamily  # Gymnasium takes a while to import

        return GymnasiumFamily(name, num_tasks)
    if name not in ENVS:
        raise ValueError(f"unknown env {name!r}, allowed: {', '.join(ENVS)}")
    if variant not in ("maml", "promp"):
        raise ValueError(f"variant: got {variant!r}, allowed: 'maml', 'promp'")
    return ENVS[name].make(variant)


def has_physics(name: str) -> bool:
    """Whether MuJoCo simulates the family `name`: no toy, no class of the user's, and no unknown name."""
    return name in ENVS and ENVS[name].physics
