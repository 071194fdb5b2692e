"""One iteration of meta-training (Finn et al. 2017, algorithm 3, with a trust-region outer step)."""

import zlib
from collections.abc import Callable, Sequence
from math import nan

import torch
from torch import Tensor

from envs import TaskEnv
from maml_rl.machine.ranks import ALONE, Ranks
from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.meta.inner_loop import adapt
from maml_rl.meta.meta_objective import meta_objective
from maml_rl.meta.trust_region import trust_region_step
from maml_rl.models.distributions import Categorical
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import Config
from maml_rl.rl.keys import Purpose, keyed
from maml_rl.rl.sampler import collect
from maml_rl.rl.samples import Samples, make_samples
from maml_rl.rl.trajectories import Trajectories
from maml_rl.runs.checkpoint import State
from maml_rl.runs.metrics_file import Metrics


def meta_update(
    config: Config,
    env_parts: Sequence[TaskEnv],
    policy: MlpPolicy,
    state: State,
    announce: Callable[[str], None] = lambda part: None,
    ranks: Ranks = ALONE,
) -> tuple[State, Metrics]:
    """Sample tasks, adapt to each with the trained inner steps, and move theta. Returns the new state, and what to log.

    env_parts: the family, as `maml_rl.options.wiring.make_envs` has it, for this rank's share of the tasks.
    announce: told the name of each part of the iteration as it begins. State and metrics are those of all ranks, but
    for the times.
    """
    watch = Stopwatch(announce)
    share = ranks.share(config.num_tasks)
    num_tasks = share.stop - share.start

    def rollout(theta_M: Tensor, k: int) -> Trajectories:
        generator = keyed(Purpose.EPISODES, config.seed, state.iteration, k, first_task=share.start)
        return collect(env_parts, policy, theta_M, tasks, generator, config.horizon)

    task_generator = keyed(Purpose.TASKS, config.seed, state.iteration, first_task=share.start)
    tasks = env_parts[0].sample_tasks(num_tasks, task_generator)
    thetas_M = [state.theta.expand(num_tasks, -1)]
    trajectories: list[Trajectories] = []
    batches: list[Samples] = []
    for k in range(config.trained_inner_steps):
        with watch("collect"):
            trajectories.append(rollout(thetas_M[-1], k))
        with watch("adapt"):
            batches.append(make_samples(trajectories[-1], config.discount, config.gae_lambda))
            thetas_M.append(adapt(policy, thetas_M[-1], batches[-1:], config.inner_lr))
    with watch("collect"):
        trajectories.append(rollout(thetas_M[-1], config.trained_inner_steps))
    with watch("outer"):
        post = make_samples(trajectories[-1], config.discount, config.gae_lambda)
        # Another first step in each iteration, so that no step of an episode is never seen.
        stream = keyed(Purpose.CURVATURE, config.seed, state.iteration).streams(1)[0]
        stride, first = config.curvature_stride, int(stream.integers(config.curvature_stride))
        objective = meta_objective(
            policy,
            thetas_M,
            batches,
            post,
            config.inner_lr,
            stride,
            first,
            all_tasks=config.num_tasks,
            all_sum=ranks.sum,
        )
        step = trust_region_step(
            state.theta,
            objective.loss,
            objective.gradient,
            objective.fisher_vector_product,
            objective.evaluate,
            max_kl=config.max_kl,
            cg_iterations=config.cg_iterations,
            cg_damping=config.cg_damping,
            max_backtracks=config.max_backtracks,
            backtrack_ratio=config.backtrack_ratio,
        )

    moved = inner_kl(policy, thetas_M, [batch.every(stride, first) for batch in batches[:1]])
    sums = _sums_over_ranks(policy, step.theta, trajectories, post, env_parts[0].action_bound, moved, ranks)
    pre, last = sums[0], sums[-1]
    env_steps = state.env_steps + round(sum(each["steps"] for each in sums))
    metrics: Metrics = {
        "iteration": state.iteration,
        "env_steps": env_steps,
        "return/pre": _ratio(pre["return"], pre["episodes"]),
        "return/post": _ratio(last["return"], last["episodes"]),
        "loss": step.loss,
        "kl": step.kl,
        "line_search/accepted": step.accepted,
        "line_search/backtracks": step.backtracks,
        **_spread(policy, step.theta, last["entropy"] / config.num_tasks),
        "inner_kl": last["inner_kl"] / config.num_tasks,
        **({} if policy.discrete else {"actions/outside": _ratio(pre["outside"], pre["steps"])}),
        "episodes/lived": _ratio(pre["lived"], pre["episodes"] * config.horizon),
        "episodes/diverged": round(sum(each["diverged"] for each in sums)),
        **watch.metrics(),
    }
    for key, part in (("success/pre", pre), ("success/post", last)):
        if part["rated"]:
            metrics[key] = part["successes"] / part["rated"]
    return State(step.theta, state.iteration + 1, env_steps), metrics


def initial_state(config: Config, policy: MlpPolicy) -> State:
    """Where a new run begins: parameters drawn by its seed."""
    return State(policy.initial_parameters(keyed(Purpose.INITIAL_PARAMETERS, config.seed)), 0, 0)


@torch.no_grad()
def inner_kl(policy: MlpPolicy, thetas_M: Sequence[Tensor], batches: Sequence[Samples]) -> float:
    """KL(before || after the inner loop) of each task's policy, summed over tasks (nats), in states of the first batch.

    thetas_M: as of `meta_objective`. If the standard deviation stays, sqrt(2 KL) is how far one inner step moves the
    mean action, in standard deviations. batches: the first one, or none if there is no inner loop.
    """
    total = 0.0
    for batch in batches:
        before, after = (policy.distribution(theta_M, batch.observations) for theta_M in (thetas_M[0], thetas_M[-1]))
        total += float((batch.weights * before.kl_to(after)).sum())  # type: ignore[arg-type] # of the same kind
    return total


def _sums_over_ranks(
    policy: MlpPolicy,
    theta: Tensor,
    trajectories: Sequence[Trajectories],
    post: Samples,
    action_bound: float,
    inner_kl: float,
    ranks: Ranks,
) -> list[dict[str, float]]:
    """`Trajectories.sums` of each rollout, over the tasks of all ranks; in the last also sums of what tasks have.

    All of them cross the network in one piece, and with them a checksum of theta: ranks that had come to different
    parameters would go on to learn nonsense.
    """
    checksum = zlib.crc32(theta.cpu().numpy().tobytes())
    sums = [each.sums(action_bound) | {"entropy": 0.0, "inner_kl": 0.0, "checksum": 0.0} for each in trajectories]
    sums[-1] |= {"entropy": _entropy(policy, theta, post), "inner_kl": inner_kl, "checksum": float(checksum)}
    packed = torch.tensor([list(each.values()) for each in sums], dtype=torch.float64, device=theta.device)
    totals = [dict(zip(sums[0], row, strict=True)) for row in ranks.sum(packed).tolist()]
    if totals[-1]["checksum"] != ranks.size * checksum:
        raise RuntimeError(
            "the ranks have come to different parameters: all need the same kind of processor and device"
        )
    return totals


def _ratio(total: float, count: float) -> float:
    return total / count if count else nan


def _spread(policy: MlpPolicy, theta: Tensor, entropy: float) -> Metrics:
    """How random the meta-policy is: its mean standard deviation, or its mean entropy (nats) in the states visited."""
    return {"policy/entropy": entropy} if policy.discrete else {"policy/std": policy.mean_std(theta)}


def _entropy(policy: MlpPolicy, theta: Tensor, samples: Samples) -> float:
    """The mean entropy of each task's states, summed over tasks (nats); 0 for a Gaussian, which has it everywhere."""
    if not policy.discrete:
        return 0.0
    distribution = policy.distribution(theta.expand(len(samples.weights), -1), samples.observations)
    assert isinstance(distribution, Categorical)
    return float((samples.weights * distribution.entropy()).sum())
