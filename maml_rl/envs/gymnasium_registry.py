"""Every family by name in Gymnasium: gymnasium.make("maml_rl/HalfCheetahVel-v0", task=1.5).

Imports as little as it can: whoever imports Gymnasium imports this.
"""

import gymnasium

NAMESPACE = "maml_rl"
NAMES = {
    "ant-dir": "AntDir",
    "ant-goal": "AntGoal",
    "ant-vel": "AntVel",
    "bandit": "Bandit",
    "bandit-10": "Bandit10",
    "bandit-50": "Bandit50",
    "halfcheetah-dir": "HalfCheetahDir",
    "halfcheetah-vel": "HalfCheetahVel",
    "hopper-rand-params": "HopperRandParams",
    "humanoid-dir": "HumanoidDir",
    "navigation-2d": "Navigation2D",
    "tabular-mdp": "TabularMdp",
    "walker-dir": "WalkerDir",
    "walker-rand-params": "WalkerRandParams",
}


def register() -> None:
    """Register all families, which `import maml_rl` does."""
    for family, name in NAMES.items():
        gymnasium.register(
            id=f"{NAMESPACE}/{name}-v0",
            entry_point="maml_rl.envs.single_task_env:SingleTaskEnv",
            kwargs={"family": family},
            order_enforce=True,
        )
