"""The families of tasks in a table, for `--list-envs`."""

from typing import Literal

from maml_rl import envs
from maml_rl.options.shipped import PRESETS
from maml_rl.schema.text_table import text_table

COLUMNS = ["--env", "a task", "drawn from", "observation", "action", "horizon", "dt (s)", "source"]


def families(variant: Literal["maml", "promp"]) -> str:
    """Lines of text, one for each family that has the variant.

    Sizes of observations and actions, horizons (steps) and time steps (s) are read off the families.
    """
    rows = [COLUMNS]
    presets = PRESETS if variant == "maml" else PRESETS / variant
    for name, row in envs.ENVS.items():
        if not (presets / f"{name}.yaml").exists():
            continue
        family = envs.make_family(name, variant)
        action = f"{family.action_size} choices" if family.choices else str(family.action_size)
        sizes = [str(family.observation_size), action, str(family.horizon), f"{family.dt:g}"]
        rows.append([name, row.task, row.range, *sizes, row.source])
    return text_table(rows)
