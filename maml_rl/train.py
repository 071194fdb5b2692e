"""Meta-train a policy, a regressor or a classifier: the command.

python -m maml_rl.train --env halfcheetah-vel
python -m maml_rl.train --data omniglot --ways 5 --shots 1
"""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from maml_rl import envs
from maml_rl.command import FAILED, exit_status
from maml_rl.interface.first_state import first_state
from maml_rl.machine.allocator import keep_freed_memory
from maml_rl.machine.computer import computer
from maml_rl.machine.ranks import RankLost, Ranks, join_ranks
from maml_rl.machine.stop_signals import Interrupted, StopSignals
from maml_rl.machine.threads import num_cpus, use_threads
from maml_rl.machine.versions import in_one_line, versions
from maml_rl.options.command_line import Source, parse_command_line
from maml_rl.options.config import Config, RlConfig, flat
from maml_rl.options.list_algorithms import algorithms_table
from maml_rl.options.list_data import data_sets
from maml_rl.options.list_families import families
from maml_rl.options.parts import choose_device
from maml_rl.options.wiring import make_setting
from maml_rl.runs.loop import train
from maml_rl.runs.opening import open_run, resumable
from maml_rl.runs.progress import said_in_tenths
from maml_rl.runs.record import RunRecord
from maml_rl.runs.sessions import Session, add_session, now
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name
from maml_rl.supervised.catalogue import DATA_SETS

PROG = "python -m maml_rl.train"
DESCRIPTION = (
    f"Meta-train a policy, a regressor or a classifier. Families of tasks for --env: {', '.join(envs.ENVS)}. "
    f"Data sets for --data: {', '.join(DATA_SETS)}, a folder of pictures."
)


def run(argv: Sequence[str], signals: StopSignals, ranks: Ranks) -> int:
    """Parse the arguments, and list or train. Returns the exit status; raises UsageError before anything is written."""
    with ranks.together():
        config, source = parse_command_line(argv, PROG, DESCRIPTION, list(envs.ENVS))
    if source.list_envs:
        if not isinstance(config, RlConfig):
            raise UsageError("--list-envs: not allowed with --data, see --list-data")
        print(families(config.variant))
    elif source.list_data:
        print(data_sets())
    elif source.list_algorithms:
        print(algorithms_table())
    else:
        start(config, source, signals, ranks, f"{PROG} {shlex.join(argv)}")
    return 0


def start(config: Config, source: Source, signals: StopSignals, ranks: Ranks, command: str) -> None:
    """Wire a run together, new or resumed, and train. Raises UsageError before it writes anything.

    command: the line that the user gave, for the run's record.
    """
    with ranks.together():
        device = choose_device(config.device, ranks.local_rank, ranks.local_size)
    with ranks.together():
        check_agreement(ranks.gather({**flat(config), **vars(source), "device": device.type}))
        if ranks.size > config.num_tasks:
            allowed = f">= {ranks.size}, as there are so many ranks"
            raise UsageError(f"--num-tasks: got {config.num_tasks}, allowed: {allowed}")
    ranks = ranks.on(device)
    num_threads = config.num_threads or max(1, num_cpus() // ranks.local_size)
    use_threads(num_threads)
    keep_freed_memory()
    with ranks.together(), signals.interruptible():
        setting = make_setting(config, ranks, num_threads, said_in_tenths(ranks.is_first))
        setting.try_out()
    with contextlib.ExitStack() as held:
        run_dir, checkpoint = None, None
        with ranks.together():
            if ranks.is_first:
                run_dir, checkpoint = held.enter_context(open_run(source, setting, lambda: first_state(setting)))
        checkpoint = ranks.of_first(checkpoint)
        if source.resume and checkpoint.iteration == config.iterations:
            if ranks.is_first:
                done = f"{run_dir} has done its {checkpoint.iteration} iterations"
                print(f"{done}; --iterations N goes on", file=sys.stderr)
            return
        with ranks.together():
            found = versions() if ranks.is_first else {}
            lines = [command, f"# {in_one_line(found)}"]
            record = held.enter_context(RunRecord(setting.config, run_dir, checkpoint.iteration, lines))
            if run_dir:
                session = Session(
                    command, now(), checkpoint.iteration, source.preset, ranks.size, found, computer(device)
                )
                with resumable(run_dir):
                    add_session(run_dir, session)
        train(setting, checkpoint.on(device), record, signals, PROG)


def check_agreement(options: Sequence[dict[str, Any]]) -> None:
    """Raise UsageError unless all ranks have the same options: a rank's share depends on all of them."""
    for rank, others in enumerate(options):
        for name, value in others.items():
            if value != options[0].get(name):
                allowed = f"{options[0].get(name)!r}, as rank 0 has it"
                raise UsageError(f"{option_name(name)}: got {value!r} on rank {rank}, allowed: {allowed}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status (`maml_rl.command`): 1 also if another rank failed."""
    argv = sys.argv[1:] if argv is None else argv
    with join_ranks() as ranks, StopSignals() as signals:
        try:
            return exit_status("maml_rl.train", lambda: run(argv, signals, ranks))
        except RankLost as error:
            return after_loss(error, signals)


def after_loss(error: RankLost, signals: StopSignals) -> int:
    """The exit status of a rank that has lost another.

    That one has said why it failed, and torchrun is about to end this one. If it does not, the network failed.
    """
    try:
        with signals.interruptible():
            time.sleep(5)
    except Interrupted as interrupted:
        return interrupted.exit_status
    print(f"maml_rl.train: lost another rank: {error}", file=sys.stderr)
    return FAILED


def leave(status: int) -> NoReturn:
    """End the process; after a failure at once: torchrun ends the ranks that are still on their way out when one has
    gone, and NCCL's threads would wait for the others.
    """
    if status == 0:
        sys.exit()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
