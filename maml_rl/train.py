"""Meta-train an initial policy: the command, and the loop over `maml_rl.meta_update`.

python -m maml_rl.train --env halfcheetah-vel
"""

import signal

# PyTorch takes two seconds to import. Until StopSignals takes over, Ctrl-C just ends the process.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import envs
from envs import TaskEnv
from envs.errors import FamilyError, WorkerError
from maml_rl.checkpoint import State, latest_checkpoint, load_checkpoint, save_checkpoint
from maml_rl.command_line import FREE_ON_RESUME, Options, parse_command_line
from maml_rl.config import Config, UsageError, as_config
from maml_rl.families import families
from maml_rl.interrupt import Interrupted, StopSignals
from maml_rl.meta_update import initial_state, meta_update
from maml_rl.metrics import MetricsWriter
from maml_rl.parallel import use_threads
from maml_rl.policies import MlpPolicy
from maml_rl.progress import ProgressDisplay
from maml_rl.run_directory import create_run_dir, default_run_dir, lock_run_dir, write_config
from maml_rl.validation import Validator
from maml_rl.wiring import choose_device, make_envs, make_policy

PROG = "python -m maml_rl.train"
DESCRIPTION = f"Meta-train a policy by MAML with a trust-region outer step. Families of tasks: {', '.join(envs.ENVS)}."


def train(
    config: Config,
    run_dir: Path,
    env_parts: Sequence[TaskEnv],
    policy: MlpPolicy,
    state: State,
    signals: StopSignals,
) -> State:
    """Iterate from `state` to `config.iterations`, writing metrics and checkpoints into `run_dir`.

    On SIGINT, SIGTERM and SIGHUP writes a checkpoint of the last whole iteration, then raises Interrupted; likewise
    where a user's environment fails, with FamilyError or WorkerError.
    """
    checkpoints = run_dir / "checkpoints"
    with (
        MetricsWriter(run_dir, state.iteration) as writer,
        ProgressDisplay(config.env, config.iterations, state.iteration) as progress,
    ):
        write_config(run_dir, config)
        since = f", from iteration {state.iteration} on" if state.iteration else ""
        progress.say(f"writing to {run_dir}{since}")
        validator = Validator(config, env_parts, policy, run_dir, progress.say)
        try:
            while state.iteration < config.iterations:
                with signals.interruptible():
                    new_state, metrics = meta_update(config, env_parts, policy, state, progress.phase)
                writer.write(metrics)
                progress.update(metrics, new_state.env_steps - state.env_steps)
                state = new_state
                if state.iteration % config.checkpoint_every == 0 or state.iteration == config.iterations:
                    save_checkpoint(checkpoints, state, policy, config)
                with signals.interruptible():
                    validator.after_iteration(state, writer)
            if state.iteration > 0:
                with signals.interruptible():
                    validator.draw_figures(state, writer)
        except (Interrupted, FamilyError, WorkerError) as end:
            path = save_checkpoint(checkpoints, state, policy, config)
            reason = end if isinstance(end, Interrupted) else "the environment failed"
            progress.say(f"{reason}: wrote {path}; go on with: {PROG} --resume {shlex.quote(str(run_dir))}")
            raise
    return state


def run(options: Options, signals: StopSignals) -> None:
    """Wire a run together from its options, new or resumed, and train. Raises UsageError before it writes anything."""
    config = as_config(options)
    device = choose_device(config.device)
    use_threads(config.num_threads)
    env_parts = make_envs(config)
    policy = make_policy(config, env_parts[0])
    run_dir = options.resume or options.run_dir or default_run_dir(config)
    if not options.resume:
        create_run_dir(run_dir)
    with lock_run_dir(run_dir):
        if options.resume:
            state = resumed_state(run_dir, config, policy)
        else:  # from here on there is a checkpoint to resume from
            state = initial_state(config, policy)
            save_checkpoint(run_dir / "checkpoints", state, policy, config)
        if options.resume and state.iteration == config.iterations:
            print(f"{run_dir} has done its {state.iteration} iterations; --iterations N goes on", file=sys.stderr)
            return
        state = State(state.theta.to(device), state.iteration, state.env_steps)
        train(config, run_dir, env_parts, policy, state, signals)


def resumed_state(run_dir: Path, config: Config, policy: MlpPolicy) -> State:
    """The last checkpoint of a run. Raises UsageError where it does not go with the run's configuration."""
    path = latest_checkpoint(run_dir / "checkpoints")
    state, made_with = load_checkpoint(path, lambda _: policy)
    for name in vars(config):
        if name not in FREE_ON_RESUME and getattr(config, name) != getattr(made_with, name):
            got, allowed = getattr(config, name), getattr(made_with, name)
            raise UsageError(f"{run_dir / 'config.yaml'}: {name}: got {got!r}, allowed: {allowed!r}, as {path} has it")
    if config.iterations < state.iteration:
        raise UsageError(
            f"--iterations: got {config.iterations}, allowed: >= {state.iteration}, which the run has done"
        )
    return state


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 0 done, 2 bad input, 128 + signal after SIGINT, SIGTERM or SIGHUP.

    1 where a worker process of a user's environment failed.
    """
    try:
        options = parse_command_line(sys.argv[1:] if argv is None else argv, PROG, DESCRIPTION, list(envs.ENVS))
        if options.list_envs:
            print(families(options.variant))
            return 0
        with StopSignals() as signals:
            run(options, signals)
    except (UsageError, FamilyError) as error:
        print(f"maml_rl.train: {error}".replace("\n", "\\n"), file=sys.stderr)
        return 2
    except WorkerError as error:
        print(f"maml_rl.train: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        return interrupted.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
