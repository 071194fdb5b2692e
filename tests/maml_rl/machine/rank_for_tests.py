"""A rank of maml_rl.train with which something goes wrong. For torchrun: rank_for_tests.py FAULT|none ARGUMENTS

FAULT: a list in JSON of [kind, restarts so far, rank, iteration], at which this is to happen. kind: "kill", "raise",
"user", an error of a user's environment, or "figures", an error as the figures of the end are prepared.
"""

import json
import os
import signal
import sys

import maml_rl.runs.loop
import maml_rl.train
from maml_rl.envs.errors import FamilyError

rank = int(os.environ["RANK"])
restarts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
real_iterate = maml_rl.runs.loop.iterate
real_own_scores = maml_rl.runs.loop.Validator._own_scores


def iterate(setting, checkpoint, announce):
    for kind, *when in json.loads(sys.argv[1]):
        if kind != "figures" and when == [restarts, rank, checkpoint.iteration]:
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise {"raise": ArithmeticError, "user": FamilyError}[kind](f"fault of rank {rank}")
    return real_iterate(setting, checkpoint, announce)


def own_scores(self, checkpoint, tasks, steps):
    for kind, *when in json.loads(sys.argv[1]):
        if kind == "figures" and when == [restarts, rank, checkpoint.iteration]:
            raise ArithmeticError(f"fault of rank {rank}")
    return real_own_scores(self, checkpoint, tasks, steps)


if __name__ == "__main__":
    maml_rl.runs.loop.Validator._own_scores = own_scores
    maml_rl.runs.loop.iterate = iterate
    arguments = [argument.replace("RANK", str(rank)) for argument in sys.argv[2:]]
    maml_rl.train.leave(maml_rl.train.main(arguments))
