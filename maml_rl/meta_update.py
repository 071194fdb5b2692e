"""One iteration of meta-training (Finn et al. 2017, algorithm 3, with a trust-region outer step)."""

from collections.abc import Callable, Sequence
from math import inf

from torch import Tensor

from envs import KeyedGenerator, TaskEnv
from maml_rl.adaptation import adapt
from maml_rl.checkpoint import State
from maml_rl.config import Config
from maml_rl.distributions import Categorical
from maml_rl.maml import meta_objective
from maml_rl.metrics import Metrics
from maml_rl.policies import MlpPolicy
from maml_rl.sampler import collect
from maml_rl.samples import Samples, make_samples
from maml_rl.stopwatch import Stopwatch
from maml_rl.trajectories import Trajectories
from maml_rl.trust_region import trust_region_step

# The last part of a random draw's key (seed, iteration, phase); the k-th rollout of an iteration has phase ROLLOUT + k.
INITIAL_PARAMETERS, TASKS, ROLLOUT = 0, 1, 2


def meta_update(
    config: Config,
    env_parts: Sequence[TaskEnv],
    policy: MlpPolicy,
    state: State,
    announce: Callable[[str], None] = lambda part: None,
) -> tuple[State, Metrics]:
    """Sample tasks, adapt to each with the trained inner steps, and move theta. Returns the new state, and what to log.

    env_parts: the family, as `maml_rl.wiring.make_envs` has it.
    announce: told the name of each part of the iteration as it begins.
    """
    watch = Stopwatch(announce)

    def rollout(theta_M: Tensor, k: int) -> Trajectories:
        generator = KeyedGenerator(config.seed, state.iteration, ROLLOUT + k)
        return collect(env_parts, policy, theta_M, tasks, generator, config.horizon)

    tasks = env_parts[0].sample_tasks(config.num_tasks, KeyedGenerator(config.seed, state.iteration, TASKS))
    theta_M = state.theta.expand(config.num_tasks, -1)
    trajectories: list[Trajectories] = []
    batches: list[Samples] = []
    for k in range(config.trained_inner_steps):
        with watch("collect"):
            trajectories.append(rollout(theta_M, k))
        with watch("adapt"):
            batches.append(make_samples(trajectories[-1], config.discount, config.gae_lambda))
            theta_M = adapt(policy, theta_M, batches[-1:], config.inner_lr)
    with watch("collect"):
        trajectories.append(rollout(theta_M, config.trained_inner_steps))
    with watch("outer"):
        post = make_samples(trajectories[-1], config.discount, config.gae_lambda)
        curvature_fraction = min(1.0, (config.curvature_episodes or inf) / config.episodes_per_task)
        objective = meta_objective(policy, state.theta, batches, post, config.inner_lr, curvature_fraction)
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
        **_spread(policy, step.theta, post),
        "episodes/diverged": sum(int(part.diverged.sum()) for part in trajectories),
        **watch.metrics(),
    }
    for key, part in (("success/pre", trajectories[0]), ("success/post", trajectories[-1])):
        rate = part.success_rate()
        if rate is not None:
            metrics[key] = rate
    return State(step.theta, state.iteration + 1, env_steps), metrics


def initial_state(config: Config, policy: MlpPolicy) -> State:
    """Where a new run begins: parameters drawn by its seed."""
    return State(policy.initial_parameters(KeyedGenerator(config.seed, 0, INITIAL_PARAMETERS)), 0, 0)


def _spread(policy: MlpPolicy, theta: Tensor, samples: Samples) -> Metrics:
    """How random the meta-policy is: its mean standard deviation, or its mean entropy (nats) in the states visited."""
    if not policy.discrete:
        return {"policy/std": policy.mean_std(theta)}
    distribution = policy.distribution(theta.expand(len(samples.weights), -1), samples.observations)
    assert isinstance(distribution, Categorical)
    return {"policy/entropy": float((samples.weights * distribution.entropy()).sum() / len(samples.weights))}
