"""Reptile: where its update leads, against autograd, and what ties it to plain training."""

import dataclasses
import shutil
from itertools import permutations

import pytest
import torch

import maml_rl
from maml_rl import train
from maml_rl.models.policies import MlpPolicy
from maml_rl.runs.checkpoint import Checkpoint, save_checkpoint
from maml_rl.schema.errors import UsageError
from tests.maml_rl.algorithms import through_everything as oracle
from tests.maml_rl.algorithms.test_round_trip import TINY
from tests.maml_rl.algorithms.through_everything import RecordingProblem, made
from tests.maml_rl.given_problem import GivenProblem
from tests.maml_rl.test_train import assert_same_tensors, checkpoint_bytes

POLICIES = {
    "gaussian": MlpPolicy(3, 2, (5,), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 4, (5,), "tanh", output_scale=2.0, choices=(4,)),
}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture
def problem(policy, draw_samples) -> RecordingProblem:
    return RecordingProblem(policy, [draw_samples(policy, num_steps=20, seed=k) for k in range(4)])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_theta_moves_towards_the_mean_of_the_adapted_parameters(policy, problem, steps) -> None:
    """K fresh batches, one for each step, and none after the last."""
    algorithm, _, state = made("reptile", policy, inner_steps=steps, meta_lr=0.4)
    after, metrics = algorithm.update(state, problem)
    assert len(problem.drawn) == steps
    theta_M = state["theta"].expand(3, -1).clone().requires_grad_()
    for batch in problem.batches[:steps]:
        (gradient,) = torch.autograd.grad(oracle.plain(policy.at(theta_M)(batch.inputs), batch).sum(), theta_M)
        theta_M = (theta_M - 0.1 * gradient).detach().requires_grad_()
    way = theta_M.detach().mean(0) - state["theta"]
    torch.testing.assert_close(after["theta"], state["theta"] + 0.4 * way, rtol=1e-10, atol=1e-13)
    assert metrics == pytest.approx({"reptile/distance": float(way.norm()), "reptile/meta_lr": 0.4})


def test_one_step_is_gradient_descent_on_all_tasks_at_once(policy, problem) -> None:
    algorithm, _, state = made("reptile", policy, inner_steps=1, meta_lr=0.5)
    after, _ = algorithm.update(state, problem)
    theta = state["theta"].clone().requires_grad_()
    batch = problem.batches[0]
    oracle.plain(policy.at(theta.expand(3, -1))(batch.inputs), batch).mean().backward()
    torch.testing.assert_close(after["theta"], state["theta"] - 0.5 * 0.1 * theta.grad, rtol=1e-10, atol=1e-13)


def test_two_steps_see_the_curvature(policy, problem) -> None:
    """Nichol et al. 2018, eq. 25 to 27: to the first order in alpha the way is -alpha (g1 + g2) + alpha^2 H2 g1."""
    algorithm, _, state = made("reptile", policy, inner_steps=2, inner_lr=1e-4)
    after, _ = algorithm.update(state, problem)

    def loss(theta, batch):
        return oracle.plain(policy.at(theta[None])(batch.inputs), batch).sum()

    ways = []
    for i in range(3):
        theta = state["theta"].clone().requires_grad_()
        one, two = (batch.rows(slice(i, i + 1)) for batch in problem.batches[:2])
        (g1,), (g2,) = (torch.autograd.grad(loss(theta, batch), theta) for batch in (one, two))
        _, Hg = torch.autograd.functional.hvp(lambda x, two=two: loss(x, two), state["theta"], g1)
        ways.append((-(g1 + g2) + 1e-4 * Hg, g1 + g2))
    exact = sum(way for way, _ in ways) / 3
    rough = -sum(way for _, way in ways) / 3
    way = (after["theta"] - state["theta"]) / 1e-4
    assert (way - exact).norm() < 1e-2 * (rough - exact).norm()


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.8), (0.25, 0.6), (0.75, 0.2)])
def test_the_share_of_the_way_falls_linearly(problem, policy, progress, share) -> None:
    algorithm, _, state = made("reptile", policy, meta_lr=0.8)
    start, _ = algorithm.update(state, dataclasses.replace(problem, drawn=[]))
    later, metrics = algorithm.update(state, dataclasses.replace(problem, drawn=[], progress=progress))
    assert metrics["reptile/meta_lr"] == pytest.approx(share)
    torch.testing.assert_close(later["theta"] - state["theta"], share / 0.8 * (start["theta"] - state["theta"]))


# ---- inner steps by Adam


def by_adam(policy, **options):
    """Reptile with inner Adam, and a state that has seen 4 steps."""
    algorithm, _, state = made("reptile", policy, inner_optimiser="adam", inner_lr=0.03, **options)
    v = torch.rand(state["inner.v"].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return algorithm, state | {"inner.v": 1e-4 * v, "inner.t": torch.tensor(4.0, dtype=torch.float64)}


def torch_adam(state, lr: float) -> torch.optim.Adam:
    """PyTorch's, of one parameter vector, where the state is."""
    theta = state["theta"].clone().requires_grad_()
    optimiser = torch.optim.Adam([theta], lr=lr, betas=(0.0, 0.999), eps=1e-8)
    moments = {"exp_avg": torch.zeros_like(theta), "exp_avg_sq": state["inner.v"].clone()}
    optimiser.state[theta] = {"step": state["inner.t"].float(), **moments}
    return optimiser


def take_step(optimiser: torch.optim.Adam, policy, batch, loss=oracle.plain) -> dict[str, torch.Tensor]:
    """One step on the batch of one task, and the state after it."""
    [theta] = optimiser.param_groups[0]["params"]
    optimiser.zero_grad()
    loss(policy.at(theta[None])(batch.inputs), batch).sum().backward()
    optimiser.step()
    of_theta = optimiser.state[theta]
    t = of_theta["step"].double()
    return {"theta": theta.detach().clone(), "inner.v": of_theta["exp_avg_sq"].clone(), "inner.t": t}


def test_each_task_has_an_adam_of_torch_s(policy, problem) -> None:
    """In training and in evaluations, whose later steps are smaller."""
    algorithm, state = by_adam(policy, inner_steps=2, meta_lr=0.4)
    after, _ = algorithm.update(state, problem)
    actors = list(algorithm.adapt(state, problem, 3))
    adapted = []
    for i in range(3):
        optimiser, expected = torch_adam(state, 0.03), state
        for k in range(4):
            for name, part in expected.items():
                torch.testing.assert_close(actors[k].state_M[name][i], part, rtol=1e-10, atol=1e-13)
                assert torch.equal(actors[k].rows(slice(i, i + 1)).state_M[name], actors[k].state_M[name][i : i + 1])
            if k == 2:
                adapted.append(expected["theta"])
                optimiser.param_groups[0]["lr"] = 0.03 * algorithm.options.eval_lr_ratio
            if k < 3:
                expected = take_step(optimiser, policy, problem.batches[k].rows(slice(i, i + 1)))
    way = torch.stack(adapted).mean(0) - state["theta"]
    torch.testing.assert_close(after["theta"], state["theta"] + 0.4 * way, rtol=1e-10, atol=1e-13)


def test_on_one_task_after_another_it_is_an_adam_that_goes_on(policy, problem) -> None:
    """Iterations of one task each, if theta goes the whole way."""
    algorithm, state = by_adam(policy, inner_steps=2)
    optimiser = torch_adam(state, 0.03)
    for i in range(3):
        batches = [batch.rows(slice(i, i + 1)) for batch in problem.batches[i : i + 2]]
        for batch in batches:
            expected = take_step(optimiser, policy, batch)
        state, _ = algorithm.update(state, GivenProblem(policy, batches))
        for name in state:
            torch.testing.assert_close(state[name], expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_moments_go_on_as_if_the_tasks_had_been_taken_in_all_orders(draw_samples, steps) -> None:
    """The mean of what PyTorch's Adam keeps after each, for a loss whose gradients do not depend on the parameters."""
    linear = MlpPolicy(3, 2, ())

    def loss(distribution, batch):
        return (batch.weights * batch.advantages * distribution.mean.sum(-1)).sum(1)

    problem = GivenProblem(linear, [draw_samples(linear, seed=k) for k in range(steps)], loss)
    algorithm, state = by_adam(linear, inner_steps=steps)
    after, _ = algorithm.update(state, problem)
    kept = []
    for order in permutations(range(3)):
        optimiser = torch_adam(state, 0.03)
        for i in order:
            for batch in problem.batches:
                last = take_step(optimiser, linear, batch.rows(slice(i, i + 1)), loss)
        kept.append(last["inner.v"])
    torch.testing.assert_close(after["inner.v"], torch.stack(kept).mean(0), rtol=1e-10, atol=0)
    assert after["inner.t"] == 4 + 3 * steps


def test_moments_are_never_negative(draw_samples) -> None:
    """A checkpoint refuses them: also in float32, of parameters that have no gradient, after very many tasks."""
    linear = MlpPolicy(3, 2, ())
    algorithm, state = by_adam(linear, inner_steps=3)
    batch = draw_samples(linear, num_tasks=40_000, num_steps=1)
    single = {name: getattr(batch, name).float() for name in ("inputs", "actions", "weights")}
    batch = dataclasses.replace(batch, advantages=torch.zeros(40_000, 1), **single)
    after, _ = algorithm.update({name: part.float() for name, part in state.items()}, GivenProblem(linear, 3 * [batch]))
    assert (after["inner.v"] >= 0).all()


def test_a_run_goes_on_with_its_moments(tmp_path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    given = ["--env", "navigation-2d", "--algorithm", "reptile", "--inner-optimiser", "adam", "--inner-lr", "0.01"]
    assert train.main([*given, *TINY, "--run-dir", str(whole)]) == 0
    states = [checkpoint_bytes(whole, iteration) for iteration in range(4)]
    assert [state["inner.t"] for state in states] == [0, 9, 18, 27]
    shutil.copytree(whole, cut)
    (cut / "checkpoints" / "iteration-000003.safetensors").unlink()
    assert train.main(["--resume", str(cut)]) == 0
    assert_same_tensors(checkpoint_bytes(cut, 3), states[-1])

    policy = maml_rl.load(whole)
    kept = {name: part.clone() for name, part in policy.state.items()}
    at_once = maml_rl.adapt(policy, (0.3, -0.2), gradient_steps=2)
    by_steps = maml_rl.adapt(maml_rl.adapt(policy, (0.3, -0.2)), (0.3, -0.2))
    assert_same_tensors(policy.state, kept)
    assert_same_tensors(by_steps.state, at_once.state)
    assert at_once.state["inner.t"] == 29
    assert not torch.equal(at_once.state["inner.v"], policy.state["inner.v"])

    for name in ("inner.v", "inner.t"):
        broken = Checkpoint(policy.state | {name: -1 - policy.state[name]}, 3, 0)
        with pytest.raises(UsageError, match=f"negative numbers in {name}"):
            maml_rl.load(save_checkpoint(tmp_path, broken, policy.config))
