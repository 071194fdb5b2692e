"""The families of tasks in a table, for `--list-envs`."""

from typing import Literal

import envs
from maml_rl.options.presets import PRESETS
from maml_rl.schema.text_table import text_table

COLUMNS = ["--env", "a task", "drawn from", "observation", "action", "horizon", "dt (s)", "source"]


def families(variant: Literal["maml", "promp"]) -> str:
    """Lines of text, one for each family that has the variant.

    Sizes of observations and actions, horizons (steps) and time steps (s) are read off the families.
    """
    rows = [COLUMNS]
    presets = PRESETS if variant == "maml" else PRESETS / variant
    for name, family in envs.ENVS.items():
        if not (presets / f"{name}.yaml").exists():
            continue
        env = envs.make(name, 1, 1, variant, num_threads=1)
        action = f"{env.action_size} choices" if env.discrete else str(env.action_size)
        sizes = [str(env.observation_size), action, str(env.horizon), f"{env.dt:g}"]
        rows.append([name, family.task, family.range, *sizes, family.source])
    return text_table(rows)
