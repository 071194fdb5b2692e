"""Two iterations of an algorithm, in one process or on the ranks of torchrun: rank_of_each.py NAME,NAME,..."""

import json
import sys
from pathlib import Path

from maml_rl.machine.ranks import ALONE, Ranks, join_ranks
from maml_rl.machine.threads import use_threads
from maml_rl.meta.algorithm import Metrics
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.runs.checkpoint import Checkpoint, save_checkpoint
from maml_rl.runs.loop import iterate

SMALL = RlConfig(
    num_tasks=3, episodes_per_task=2, horizon=10, hidden_sizes=(8,), num_threads=1, device="cpu", iterations=2
)


def two_iterations(name: str, ranks: Ranks = ALONE) -> tuple[Checkpoint, RlConfig, list[Metrics]]:
    config = configure(SMALL, {"algorithm": name})
    setting = make_rl_setting(config, ranks)
    checkpoint, rows = Checkpoint(setting.initial_state(), 0, 0), []
    for _ in range(2):
        checkpoint, row = iterate(setting, checkpoint)
        rows.append(row)
    return checkpoint, config, rows


if __name__ == "__main__":
    use_threads(1)
    with join_ranks() as ranks:
        for name in sys.argv[1].split(","):
            checkpoint, config, rows = two_iterations(name, ranks)
            if ranks.is_first:
                folder = Path(name)
                (folder / "checkpoints").mkdir(parents=True)
                save_checkpoint(folder / "checkpoints", checkpoint, config)
                (folder / "metrics.json").write_text(json.dumps(rows))
