"""Meta-train an initial policy: the command, and the loop over `maml_rl.algorithms.maml`.

python -m maml_rl.train --env halfcheetah-vel
"""

import signal

# PyTorch takes two seconds to import. Until StopSignals takes over, Ctrl-C just ends the process.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import contextlib
import dataclasses
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import envs
from envs import TaskEnv
from envs.errors import FamilyError, WorkerError
from maml_rl.algorithms.maml import initial_state, meta_update
from maml_rl.machine.ranks import RankLost, Ranks, SaidByFirstRank, join_ranks
from maml_rl.machine.stop_signals import Interrupted, StopSignals
from maml_rl.machine.threads import num_cpus, use_threads
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.command_line import Options, parse_command_line
from maml_rl.options.config import Config, as_config
from maml_rl.options.list_families import families
from maml_rl.options.wiring import choose_device, make_envs, make_policy
from maml_rl.runs.checkpoint import State, has_checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from maml_rl.runs.directory import create_run_dir, default_run_dir, lock_run_dir
from maml_rl.runs.record import RunRecord
from maml_rl.runs.validation import Validator
from maml_rl.schema.errors import UsageError
from maml_rl.schema.fields import Mark, names_with
from maml_rl.schema.flags import option_name

PROG = "python -m maml_rl.train"
DESCRIPTION = f"Meta-train a policy by MAML with a trust-region outer step. Families of tasks: {', '.join(envs.ENVS)}."


def train(
    config: Config,
    env_parts: Sequence[TaskEnv],
    policy: MlpPolicy,
    state: State,
    record: RunRecord,
    signals: StopSignals,
    ranks: Ranks,
) -> State:
    """Iterate from `state` to `config.iterations`, writing metrics and checkpoints into `record`.

    On SIGINT, SIGTERM and SIGHUP writes a checkpoint of the last whole iteration, then raises Interrupted; likewise
    where a user's environment fails, with FamilyError or WorkerError, or another rank, with RankLost.
    """
    validator = Validator(config, env_parts, policy, record, ranks)
    try:
        while state.iteration < config.iterations:
            with signals.interruptible():
                new_state, metrics = meta_update(config, env_parts, policy, state, record.phase, ranks)
            record.iteration(metrics, new_state.env_steps - state.env_steps)
            state = new_state
            if state.iteration % config.checkpoint_every == 0 or state.iteration == config.iterations:
                record.checkpoint(state)
            with signals.interruptible():
                validator.after_iteration(state)
        if state.iteration > 0:
            with signals.interruptible():
                validator.draw_figures(state)
    except (Interrupted, FamilyError, WorkerError, RankLost) as end:
        reasons = {
            FamilyError: "the environment failed",
            WorkerError: "the environment failed",
            RankLost: "a rank failed",
        }
        path = record.checkpoint(state)
        resume = f"{PROG} --resume {shlex.quote(str(record.run_dir))}"
        record.say(f"{reasons.get(type(end), end)}: wrote {path}; go on with: {resume}")
        raise
    return state


def run(options: Options, signals: StopSignals, ranks: Ranks) -> None:
    """Wire a run together from its options, new or resumed, and train. Raises UsageError before it writes anything."""
    config = as_config(options)
    with ranks.together():
        device = choose_device(config.device, ranks.local_rank, ranks.local_size)
    with ranks.together():
        check_agreement(ranks.gather({**dataclasses.asdict(options), "device": device.type}))
        if ranks.size > config.num_tasks:
            raise UsageError(
                f"--num-tasks: got {config.num_tasks}, allowed: >= {ranks.size}, as there are so many ranks"
            )
    ranks = ranks.on(device)
    share = ranks.share(config.num_tasks)
    num_threads = config.num_threads or max(1, num_cpus() // ranks.local_size)
    use_threads(num_threads)
    with ranks.together():
        env_parts = make_envs(dataclasses.replace(config, num_tasks=share.stop - share.start, num_threads=num_threads))
        policy = make_policy(config, env_parts[0])
    with contextlib.ExitStack() as held:
        run_dir, state = None, None
        with ranks.together():
            if ranks.is_first:
                run_dir, state = held.enter_context(open_run(options, config, policy, ranks))
        state = ranks.of_first(state)
        if options.resume and state.iteration == config.iterations:
            if ranks.is_first:
                print(f"{run_dir} has done its {state.iteration} iterations; --iterations N goes on", file=sys.stderr)
            return
        with ranks.together():
            record = held.enter_context(RunRecord(config, policy, run_dir, state.iteration))
        state = dataclasses.replace(state, theta=state.theta.to(device))
        train(config, env_parts, policy, state, record, signals, ranks)


def check_agreement(options: Sequence[dict[str, Any]]) -> None:
    """Raise UsageError unless all ranks have the same options: a rank's share depends on all of them."""
    for rank, others in enumerate(options):
        for name, value in others.items():
            if value != options[0][name]:
                allowed = f"{options[0][name]!r}, as rank 0 has it"
                raise UsageError(f"{option_name(name)}: got {value!r} on rank {rank}, allowed: {allowed}")


@contextlib.contextmanager
def open_run(options: Options, config: Config, policy: MlpPolicy, ranks: Ranks) -> Iterator[tuple[Path, State]]:
    """The run's folder, held for this process, and the state that the run begins with.

    Where torchrun has started the ranks anew, they go on with the run of those before them. Raises UsageError.
    """
    restarted = ranks.remembered("run_dir")
    run_dir = options.resume or Path(restarted or options.run_dir or default_run_dir(config))
    if not options.resume and not restarted:
        create_run_dir(run_dir)
        ranks.remember("run_dir", str(run_dir))
    with lock_run_dir(run_dir):
        if options.resume or has_checkpoint(run_dir / "checkpoints"):
            state = resumed_state(run_dir, config, policy)
        else:  # from here on there is a checkpoint to resume from
            state = initial_state(config, policy)
            save_checkpoint(run_dir / "checkpoints", state, policy, config)
        yield run_dir, state


def resumed_state(run_dir: Path, config: Config, policy: MlpPolicy) -> State:
    """The last checkpoint of a run. Raises UsageError where it does not go with the run's configuration."""
    path = latest_checkpoint(run_dir / "checkpoints")
    state, made_with = load_checkpoint(path, lambda _: policy)
    free = names_with(Config, Mark.FREE_ON_RESUME)
    for name in vars(config):
        if name not in free and getattr(config, name) != getattr(made_with, name):
            got, allowed = getattr(config, name), getattr(made_with, name)
            raise UsageError(f"{run_dir / 'config.yaml'}: {name}: got {got!r}, allowed: {allowed!r}, as {path} has it")
    if config.iterations < state.iteration:
        raise UsageError(
            f"--iterations: got {config.iterations}, allowed: >= {state.iteration}, which the run has done"
        )
    return state


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 0 done, 2 bad input, 128 + signal after SIGINT, SIGTERM or SIGHUP.

    1 where a worker process of a user's environment failed, or another rank.
    """
    with join_ranks() as ranks, StopSignals() as signals:
        try:
            with ranks.together():
                options = parse_command_line(sys.argv[1:] if argv is None else argv, PROG, DESCRIPTION, list(envs.ENVS))
            if options.list_envs:
                print(families(options.variant))
            else:
                run(options, signals, ranks)
        except SaidByFirstRank:
            return 2
        except (UsageError, FamilyError) as error:
            print(f"maml_rl.train: {error}".replace("\n", "\\n"), file=sys.stderr)
            return 2
        except WorkerError as error:
            print(f"maml_rl.train: {error}", file=sys.stderr)
            return 1
        except Interrupted as interrupted:
            return interrupted.exit_status
        except RankLost as error:
            return after_loss(error, signals)
    return 0


def after_loss(error: RankLost, signals: StopSignals) -> int:
    """The exit status of a rank that has lost another.

    That one has said why it failed, and torchrun is about to end this one. Where it does not, the network failed.
    """
    try:
        with signals.interruptible():
            time.sleep(5)
    except Interrupted as interrupted:
        return interrupted.exit_status
    print(f"maml_rl.train: lost another rank: {error}", file=sys.stderr)
    return 1


def leave(status: int) -> NoReturn:
    """End the process. Where it failed, at once: torchrun ends those that are still on their way out when one has gone,
    and NCCL's threads would wait for the others.
    """
    if status == 0:
        sys.exit()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
