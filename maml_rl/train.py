"""Meta-train an initial policy (Finn et al. 2017, algorithm 3, with a trust-region outer step).

python -m maml_rl.train --env halfcheetah-vel
"""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import envs
from envs import KeyedGenerator, TaskEnv
from maml_rl.adaptation import adapt
from maml_rl.checkpoint import State, latest_checkpoint, load_checkpoint, save_checkpoint
from maml_rl.command_line import Options, parse_command_line
from maml_rl.config import Config, UsageError, as_config
from maml_rl.interrupt import Interrupted, StopSignals
from maml_rl.maml import meta_objective
from maml_rl.metrics import Metrics, MetricsWriter
from maml_rl.policies import GaussianMlpPolicy
from maml_rl.progress import ProgressDisplay
from maml_rl.run_directory import create_run_dir, default_run_dir, write_config
from maml_rl.sampler import collect
from maml_rl.samples import Samples, make_samples
from maml_rl.stopwatch import Stopwatch
from maml_rl.trajectories import Trajectories
from maml_rl.trust_region import trust_region_step

PROG = "python -m maml_rl.train"
DESCRIPTION = f"Meta-train a policy by MAML with a trust-region outer step. Families of tasks: {', '.join(envs.ENVS)}."

# The last part of a random draw's key (seed, iteration, phase); the k-th rollout of an iteration has phase ROLLOUT + k.
INITIAL_PARAMETERS, TASKS, ROLLOUT = 0, 1, 2


def meta_update(
    config: Config, env: TaskEnv, policy: GaussianMlpPolicy, state: State, announce: Callable[[str], None]
) -> tuple[State, Metrics]:
    """One iteration: sample tasks, adapt to each with `inner_steps` steps, and move theta."""
    watch = Stopwatch(announce)

    def rollout(theta_M: torch.Tensor, k: int) -> Trajectories:
        generator = KeyedGenerator(config.seed, state.iteration, ROLLOUT + k)
        return collect(env, policy, theta_M, tasks, generator, config.horizon)

    tasks = env.sample_tasks(config.num_tasks, KeyedGenerator(config.seed, state.iteration, TASKS))
    theta_M = state.theta.expand(config.num_tasks, -1)
    trajectories: list[Trajectories] = []
    batches: list[Samples] = []
    for k in range(config.inner_steps):
        with watch("collect"):
            trajectories.append(rollout(theta_M, k))
        with watch("adapt"):
            batches.append(make_samples(trajectories[-1], config.discount, config.gae_lambda))
            theta_M = adapt(policy, theta_M, batches[-1:], config.inner_lr)
    with watch("collect"):
        trajectories.append(rollout(theta_M, config.inner_steps))
    with watch("outer"):
        post = make_samples(trajectories[-1], config.discount, config.gae_lambda)
        objective = meta_objective(policy, state.theta, batches, post, config.inner_lr)
        step = trust_region_step(
            state.theta,
            objective.gradient,
            objective.fisher_vector_product,
            objective.evaluate,
            max_kl=config.max_kl,
            cg_iterations=config.cg_iterations,
            cg_damping=config.cg_damping,
            max_backtracks=config.max_backtracks,
            backtrack_ratio=config.backtrack_ratio,
        )

    env_steps = state.env_steps + sum(part.num_steps() for part in trajectories)
    metrics: Metrics = {
        "iteration": state.iteration,
        "env_steps": env_steps,
        "return/pre": trajectories[0].mean_return(),
        "return/post": trajectories[-1].mean_return(),
        "loss": step.loss,
        "kl": step.kl,
        "line_search/accepted": step.accepted,
        "line_search/backtracks": step.backtracks,
        "policy/std": policy.mean_std(step.theta),
        "episodes/diverged": sum(int(part.diverged.sum()) for part in trajectories),
        **watch.metrics(),
    }
    return State(step.theta, state.iteration + 1, env_steps), metrics


def train(
    config: Config, run_dir: Path, env: TaskEnv, policy: GaussianMlpPolicy, state: State, signals: StopSignals
) -> State:
    """Iterate from `state` to `config.iterations`, writing metrics and checkpoints into `run_dir`.

    On SIGINT and SIGTERM writes a checkpoint of the last whole iteration, then raises Interrupted.
    """
    checkpoints = run_dir / "checkpoints"
    with (
        MetricsWriter(run_dir, state.iteration) as writer,
        ProgressDisplay(config.env, config.iterations, state.iteration) as progress,
    ):
        left = config.iterations - state.iteration
        progress.say(f"writing to {run_dir}" if left else f"{run_dir} has done its {config.iterations} iterations")
        try:
            while state.iteration < config.iterations:
                with signals.interruptible():
                    new_state, metrics = meta_update(config, env, policy, state, progress.phase)
                writer.write(metrics)
                progress.update(metrics, new_state.env_steps - state.env_steps)
                state = new_state
                if state.iteration % config.checkpoint_every == 0 or state.iteration == config.iterations:
                    save_checkpoint(checkpoints, state, policy, config)
        except Interrupted as interrupted:
            path = save_checkpoint(checkpoints, state, policy, config)
            progress.say(f"{interrupted}: wrote {path}; go on with: {PROG} --resume {shlex.quote(str(run_dir))}")
            raise
    return state


def run(options: Options, signals: StopSignals) -> None:
    """Wire a run together from its options, new or resumed, and train. Raises UsageError before it writes anything."""
    config = as_config(options)
    device = choose_device(config.device)
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    env = envs.make(config.env, config.num_tasks, config.episodes_per_task, config.variant, config.num_threads)
    policy = GaussianMlpPolicy(
        env.observation_size,
        env.action_size,
        config.hidden_sizes,
        config.nonlinearity,
        config.init_log_std,
        config.min_log_std,
    )
    if options.resume:
        run_dir = options.resume
        state = load_checkpoint(latest_checkpoint(run_dir / "checkpoints"), policy)
        if config.iterations < state.iteration:
            raise UsageError(
                f"--iterations: got {config.iterations}, allowed: >= {state.iteration}, which the run has done"
            )
    else:
        run_dir = options.run_dir or default_run_dir(config)
        state = State(policy.initial_parameters(KeyedGenerator(config.seed, 0, INITIAL_PARAMETERS)), 0, 0)
        create_run_dir(run_dir)
        save_checkpoint(run_dir / "checkpoints", state, policy, config)  # from here on there is one to resume from
    write_config(run_dir, config)
    train(config, run_dir, env, policy, State(state.theta.to(device), state.iteration, state.env_steps), signals)


def choose_device(device: str) -> torch.device:
    """Resolve "auto". Raises UsageError for "cuda" without CUDA."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UsageError("--device: got 'cuda', allowed here: auto, cpu (PyTorch finds no CUDA device)")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 0 done, 2 bad input, 130 after SIGINT, 143 after SIGTERM."""
    try:
        options = parse_command_line(sys.argv[1:] if argv is None else argv, PROG, DESCRIPTION, list(envs.ENVS))
        with StopSignals() as signals:
            run(options, signals)
    except UsageError as error:
        print(f"maml_rl.train: {error}", file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        return interrupted.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
