"""Every family by name in Gymnasium: gymnasium.make("maml_rl/HalfCheetahVel-v0", task=1.5).

Imports as little as it can: whoever imports Gymnasium imports this.
"""

import gymnasium

NAMESPACE = "maml_rl"
FAMILIES = {  # name in Gymnasium, and steps of an episode in the maml variant's published protocol
    "ant-dir": ("AntDir", 200),
    "ant-goal": ("AntGoal", 200),
    "ant-vel": ("AntVel", 200),
    "bandit": ("Bandit", 10),
    "bandit-10": ("Bandit10", 10),
    "bandit-50": ("Bandit50", 10),
    "halfcheetah-dir": ("HalfCheetahDir", 200),
    "halfcheetah-vel": ("HalfCheetahVel", 200),
    "hopper-rand-params": ("HopperRandParams", 200),
    "humanoid-dir": ("HumanoidDir", 200),
    "navigation-2d": ("Navigation2D", 100),
    "tabular-mdp": ("TabularMdp", 10),
    "walker-dir": ("WalkerDir", 200),
    "walker-rand-params": ("WalkerRandParams", 200),
}


def register() -> None:
    """Register all families, which `import maml_rl` does."""
    for family, (name, horizon) in FAMILIES.items():
        gymnasium.register(
            id=f"{NAMESPACE}/{name}-v0",
            entry_point="maml_rl.envs.single_task_env:SingleTaskEnv",
            kwargs={"family": family},
            max_episode_steps=horizon,
            order_enforce=True,
        )
