"""The meta-gradient of every model of this side, against autograd through the whole inner loop, in float64."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from maml_rl.envs import KeyedGenerator
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_gradient import meta_gradient
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.batch_norm_mlp import BatchNormMlp
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.regressor import MlpRegressor
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.omniglot import omniglot
from maml_rl.supervised.sinusoid import Sinusoid

WAYS, M = 3, 3
MODELS = {
    "conv": ConvClassifier(WAYS, filters=4, blocks=3),
    "conv-flat-pool": ConvClassifier(WAYS, filters=3, blocks=2, halved_by="max_pool", features="flat"),
    "mlp": BatchNormMlp(WAYS, hidden_sizes=(6, 5)),
    "regressor": MlpRegressor(hidden_sizes=(7, 6), nonlinearity="tanh"),
}


def episodes(name: str, steps: int) -> Episodes:
    data = Sinusoid() if name == "regressor" else omniglot("finn", WAYS)
    return Episodes(
        MODELS[name],
        data,
        data.sample_tasks("train", M, KeyedGenerator(1)),
        Draws(Purpose.EPISODES, 1),
        shots=2,
        queries=3,
        steps=steps,
        mean=TaskMean(M),
        random=np.random.default_rng(0),
    )


def through_everything(problem: Episodes, theta: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean loss on the query sets after the descents, and its gradients by theta and alpha."""
    theta, alpha = theta.clone().requires_grad_(), alpha.clone().requires_grad_()
    theta_M = theta.expand(M, -1)
    support, query = (each.to(theta.device, theta.dtype) for each in problem.sets)
    for _ in range(problem.steps):
        loss = problem.loss(problem.model.at(theta_M)(support.inputs), support).sum()
        (gradient,) = torch.autograd.grad(loss, theta_M, create_graph=True)
        theta_M = theta_M - alpha * gradient
    outer = problem.loss(problem.model.at(theta_M)(query.inputs), query).mean()
    return outer.detach(), *torch.autograd.grad(outer, (theta, alpha))


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_it_is_autograd_s_through_everything(name: str, steps: int) -> None:
    problem = episodes(name, steps)
    theta = problem.model.initial_parameters(KeyedGenerator(3)).double()
    alpha = 0.05 + 0.1 * torch.rand(len(theta), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    loss, by_theta, by_alpha = through_everything(problem, theta, alpha)
    inner = Inner(problem.loss, alpha, steps, learns_alpha=True)
    found = meta_gradient(problem, inner_loop(problem, theta, inner), inner, problem.outer_loss)
    assert found.loss == pytest.approx(float(loss), rel=1e-12)
    scale = float(torch.cat([by_theta, by_alpha]).abs().max())
    torch.testing.assert_close(found.gradient, torch.cat([by_theta, by_alpha]), rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("name", MODELS)
def test_the_first_order_leaves_the_hessians_out(name: str) -> None:
    problem = episodes(name, 1)
    theta = problem.model.initial_parameters(KeyedGenerator(3)).double()
    inner = Inner(problem.loss, 0.3, 1, first_order=True)
    path = inner_loop(problem, theta, inner)
    found = meta_gradient(problem, path, inner, problem.outer_loss)
    theta_M = path.thetas_M[-1].clone().requires_grad_()
    query = problem.sets[1].to(theta.device, theta.dtype)
    (by_task,) = torch.autograd.grad(problem.loss(problem.model.at(theta_M)(query.inputs), query).sum(), theta_M)
    torch.testing.assert_close(found.gradient, by_task.mean(dim=0), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", MODELS)
def test_tasks_at_once_are_tasks_one_by_one(name: str) -> None:
    """A loop over tasks, each with the draws of its place among them, gives the same gradient."""
    whole = episodes(name, 2)
    theta = whole.model.initial_parameters(KeyedGenerator(3)).double()
    inner = Inner(whole.loss, 0.1, 2)
    together = meta_gradient(whole, inner_loop(whole, theta, inner), inner, whole.outer_loss)
    alone = []
    for i in range(M):
        one = dataclasses.replace(
            whole,
            tasks=whole.tasks[i : i + 1],
            draws=dataclasses.replace(whole.draws, first_task=i),
            mean=TaskMean(1),
        )
        alone.append(meta_gradient(one, inner_loop(one, theta, inner), inner, one.outer_loss).gradient)
    torch.testing.assert_close(together.gradient, torch.stack(alone).mean(dim=0), rtol=1e-9, atol=1e-13)
