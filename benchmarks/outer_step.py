"""Seconds of one Fisher-vector product and of one whole outer step, over the time that the product's arithmetic needs.

The count: with a = O h_1 multiplications in the first layer and b in the others, a product with the Hessian of the
inner loss takes 2 a + 6 b per step of data (forward a + 2 b, deltas 2 b, weights a + 2 b), and the one with the Fisher
matrix 2 a + 4 b (forward a + 2 b, deltas b, weights a + b). One Fisher-vector product through the adaptation is two of
the first on the data before adaptation and one of the second on the data after it: 6 a + 16 b, each a multiplication
and an addition. Activations recomputed on the way are not counted. The machine's rate is that of a [4000, 100] x
[100, 100] product in the same process.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch

from benchmarks.command import run
from benchmarks.measure import machine, median_seconds
from maml_rl.envs import KeyedGenerator
from maml_rl.machine.memory import free_memory
from maml_rl.machine.threads import use_threads
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_objective import MetaObjective, meta_objective
from maml_rl.meta.meta_step import TrustRegionOptions
from maml_rl.meta.trust_region import trust_region_step
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.parts import choose_device
from maml_rl.rl.losses import importance_ratio, policy_gradient
from maml_rl.rl.samples import Samples
from maml_rl.schema.bounds import Count
from maml_rl.schema.errors import UsageError
from tests.maml_rl.given_problem import GivenProblem


@dataclass(frozen=True)
class Options:
    num_tasks: Count = 40
    steps_per_task: Count = 4000
    observation_size: Count = 20
    action_size: Count = 6
    hidden_sizes: tuple[Count, ...] = (100, 100)
    nonlinearity: Literal["relu", "tanh"] = "tanh"
    curvature_stride: Count = TrustRegionOptions.curvature_stride
    cg_iterations: Count = TrustRegionOptions.cg_iterations
    repeats: Count = 5
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"
    """Without effect: the outer step has no physics. So that all benchmarks take the same options."""


def product_flop(options: Options) -> int:
    sizes = (options.observation_size, *options.hidden_sizes, options.action_size)
    first, *rest = (size_in * size_out for size_in, size_out in pairwise(sizes))
    steps = options.steps_per_task // options.curvature_stride
    return 2 * (6 * first + 16 * sum(rest)) * options.num_tasks * steps


def check_sizes(options: Options, device: torch.device) -> None:
    """Raise UsageError for samples that do not fit into memory, and for a stride beyond a task's steps."""
    if options.curvature_stride > options.steps_per_task:
        allowed = f"up to the {options.steps_per_task} steps of a task"
        raise UsageError(f"--curvature-stride: got {options.curvature_stride}, allowed: {allowed}")
    numbers = options.num_tasks * options.steps_per_task * (options.observation_size + options.action_size + 2)
    needed, free = 2 * 4 * numbers, free_memory(device)
    if needed > free:
        sizes = f"{options.num_tasks} tasks x {options.steps_per_task} steps, which take {needed / 1e9:.3g} GB or more"
        raise UsageError(f"got {sizes}, allowed: sizes that fit into the {free / 1e9:.1f} GB that are free")


def draw(options: Options, policy: MlpPolicy, theta: torch.Tensor, key: int) -> Samples:
    """Samples as a rollout would give them: actions from the policy, advantages of unit variance."""
    M, N, device = options.num_tasks, options.steps_per_task, theta.device
    generator = KeyedGenerator(1, key)

    def normal(*shape: int) -> torch.Tensor:
        return generator.normal(*shape, dtype=torch.float32).to(device)

    observations = normal(M, N, options.observation_size)
    with torch.no_grad():
        distribution = policy.at(theta.expand(M, -1))(observations)
        actions = distribution.sample(normal(M, N, options.action_size))
    return Samples(observations, actions, normal(M, N), torch.full((M, N), 1 / N, device=device))


def result(options: Options, _: Sequence[str]) -> dict[str, Any]:
    use_threads(0)
    device = choose_device(options.device)
    check_sizes(options, device)
    policy = MlpPolicy(options.observation_size, options.action_size, options.hidden_sizes, options.nonlinearity)
    theta = policy.initial_parameters(KeyedGenerator(1)).to(device)
    before, post = draw(options, policy, theta, 0), draw(options, policy, theta, 1)
    x, weight = torch.randn(4000, 100, device=device), torch.randn(100, 100, device=device)
    problem = GivenProblem(policy, [before, post])
    inner = Inner(policy_gradient, 0.1, steps=1)
    path = inner_loop(problem, theta, inner)

    def make_objective() -> MetaObjective:
        return meta_objective(problem, path, inner, importance_ratio, options.curvature_stride)

    objective = make_objective()

    def outer_step() -> None:
        fresh = make_objective()
        step = trust_region_step(
            theta,
            fresh.loss,
            fresh.gradient,
            fresh.fisher_vector_product,
            fresh.evaluate,
            max_kl=0.01,
            cg_iterations=options.cg_iterations,
            cg_damping=1e-5,
            max_backtracks=15,
            backtrack_ratio=0.8,
        )
        assert step.accepted

    def matrix_products() -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        for _ in range(200):
            x @ weight
        torch.set_num_threads(1)

    product, matrix = median_seconds(
        lambda: objective.fisher_vector_product(theta), matrix_products, repeats=options.repeats, device=device
    )
    (outer,) = median_seconds(outer_step, repeats=max(1, options.repeats // 2), device=device)
    rate = 200 * 2 * 4000 * 100 * 100 / matrix
    arithmetic = product_flop(options) / rate
    return {
        "product_gflop": round(product_flop(options) / 1e9, 1),
        "machine_gflop_per_second": round(rate / 1e9, 1),
        "arithmetic_seconds": round(arithmetic, 4),
        "product_seconds": round(product, 4),
        "product_over_arithmetic": round(product / arithmetic, 2),
        "outer_step_seconds": round(outer, 3),
        **machine(device),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    return run("outer_step", Options, str(__doc__), result, argv)


if __name__ == "__main__":
    sys.exit(main())
