"""The loop of a run: iterate, write down, validate, film."""

import shlex
from collections.abc import Callable
from pathlib import Path

from maml_rl.envs.errors import FamilyError, WorkerError
from maml_rl.machine import stop_signals
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.machine.ranks import RankLost
from maml_rl.machine.stop_signals import Interrupted, StopSignals
from maml_rl.meta.algorithm import Metrics
from maml_rl.options.rl_wiring import RlSetting
from maml_rl.options.wiring import Setting
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.filming import Filming
from maml_rl.runs.record import RunRecord
from maml_rl.runs.validation import Validator
from maml_rl.schema.errors import Diverged, summary

REASONS = {
    FamilyError: "the environment failed",
    WorkerError: "the environment failed",
    RankLost: "a rank failed",
    Diverged: "the model diverged",
}


def iterate(
    setting: Setting, checkpoint: Checkpoint, announce: Callable[[str], None] = lambda part: None
) -> tuple[Checkpoint, Metrics]:
    """Sample tasks, and update the algorithm's state on them. Returns the next checkpoint and metrics, if they are due.

    announce: called with the name of each part of the iteration when the part begins. The checkpoint and the metrics
    cover all ranks; only the times are this rank's own.
    """
    config, iteration = setting.config, checkpoint.iteration
    share = setting.ranks.share(config.num_tasks)
    tasks = setting.sample_tasks(iteration)[share]  # all ranks draw all tasks, and each takes its own
    draws = Draws(Purpose.EPISODES, config.seed, iteration, share.start)
    problem = setting.problem(tasks, draws, announce)
    state, of_algorithm = setting.algorithm.update(checkpoint.state, problem)
    if not all(part.isfinite().all() for part in state.values()):
        raise Diverged(f"the update led out of the finite numbers: lower {setting.outer_step_size}")
    metrics, env_steps = setting.metrics(problem, checkpoint.state, state), checkpoint.env_steps
    if "env_steps" in metrics:
        metrics["env_steps"] = env_steps = env_steps + int(metrics["env_steps"])
    if metrics:
        metrics = {"iteration": iteration, **metrics, **of_algorithm, **problem.watch.metrics()}
    return Checkpoint(state, iteration + 1, env_steps), metrics


def train(
    setting: Setting, checkpoint: Checkpoint, record: RunRecord, signals: StopSignals, command: str
) -> Checkpoint:
    """Iterate from `checkpoint` to the configured number of iterations, writing metrics and checkpoints into `record`.

    command: for the line that says how to resume. On SIGINT, SIGTERM and SIGHUP writes a checkpoint of the last whole
    iteration, then raises Interrupted; likewise if a user's environment fails, with FamilyError or WorkerError, if the
    policy diverges, with Diverged, and if another rank fails, with RankLost. If a file cannot be written, it raises an
    OSError that says which checkpoint is the last.
    """
    config = setting.config
    validator = Validator(setting, record)
    filming = Filming(setting, record) if isinstance(setting, RlSetting) else None

    def announce(part: str) -> None:
        stop_signals.check()
        record.phase(part)

    try:
        while checkpoint.iteration < config.iterations:
            with signals.interruptible():
                following, metrics = iterate(setting, checkpoint, announce)
            record.iteration(following.iteration, metrics, following.env_steps - checkpoint.env_steps)
            checkpoint = following
            if checkpoint.iteration % config.checkpoint_every == 0 or checkpoint.iteration == config.iterations:
                record.checkpoint(checkpoint)
            with signals.interruptible():
                validator.after_iteration(checkpoint)
                if filming:
                    filming.after_iteration(checkpoint)
        if checkpoint.iteration > 0:
            record.finish(checkpoint.iteration, f"{setting.measure.name}/post")
            with signals.interruptible():
                validator.draw_figures(checkpoint)
    except (Interrupted, FamilyError, WorkerError, RankLost, Diverged, OSError) as end:
        failure = end if isinstance(end, OSError) else None
        path = record.last_checkpoint
        try:
            path = record.checkpoint(checkpoint)
        except OSError as error:  # the one before is whole
            failure = failure or error
        resume = f"{command} --resume {shlex.quote(str(record.run_dir))}"
        if failure and record.run_dir:  # the other ranks write nothing
            raise not_written(failure, path, resume) from end
        if isinstance(end, Diverged):  # draws are keyed: a resumed run would come to the very same numbers
            resume = "a new run of other options; this one would come to the same numbers again"
        record.say(f"{REASONS.get(type(end), end)}: wrote {path}; go on with: {resume}")
        raise
    return checkpoint


def not_written(error: OSError, kept: Path | None, resume: str) -> OSError:
    """The error of a file that cannot be written, in one line that says how to go on. kept: the last checkpoint."""
    how = f"kept {kept}; go on with: {resume}" if kept and kept.exists() else "its checkpoints are gone"
    return OSError(f"{summary(error)}; {how}")
