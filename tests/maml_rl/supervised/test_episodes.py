import dataclasses
from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from maml_rl.algorithms.maml import Maml, MamlOptions
from maml_rl.envs import KeyedGenerator
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_gradient import meta_gradient
from maml_rl.meta.problem import Problem
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.distributions import Categorical, Gaussian
from maml_rl.models.policies import MlpPolicy
from maml_rl.schema.errors import Diverged
from maml_rl.supervised.data_set import DataSet, Split
from maml_rl.supervised.episode_metrics import episode_metrics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.examples import Examples
from maml_rl.supervised.losses import accuracy, cross_entropy, mean_squared_error
from maml_rl.supervised.omniglot import omniglot
from maml_rl.supervised.sinusoid import Sinusoid


class Corners:
    """Which of three corners of a triangle is a point near? Their labels are a task's own."""

    input_shape = (2,)
    output_size = 3
    classifies = True

    def check(self, split: Split, shots: int, queries: int) -> None: ...

    def sample_tasks(self, split: Split, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return generator.uniform(num_tasks, 3).argsort(dim=1).double()

    def examples(self, tasks: Tensor, shots: int, queries: int, generator: KeyedGenerator) -> tuple[Examples, Examples]:
        corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])[tasks.long()]  # [M, 3, 2]
        noise = 0.1 * generator.normal(len(tasks), 3, shots + queries, 2, dtype=torch.float32)
        points = corners[:, :, None] + noise
        labels = torch.eye(3)[:, None].expand(len(tasks), 3, shots + queries, 3)
        return (
            Examples.of(points[:, :, :shots].flatten(1, 2), labels[:, :, :shots].flatten(1, 2)),
            Examples.of(points[:, :, shots:].flatten(1, 2), labels[:, :, shots:].flatten(1, 2)),
        )

    def describe(self, task: Tensor) -> str:
        return str(task.tolist())


def episodes(data: DataSet, steps: int = 1, num_tasks: int = 4) -> Episodes:
    model = MlpPolicy(
        observation_size=data.input_shape[0],
        action_size=data.output_size,
        hidden_sizes=(8,),
        nonlinearity="tanh",
        choices=(data.output_size,) if data.classifies else (),
    )
    tasks = data.sample_tasks("train", num_tasks, KeyedGenerator(1))
    draws = Draws(Purpose.EPISODES, 0)
    return Episodes(model, data, tasks, draws, 5, 7, steps, TaskMean(num_tasks), np.random.default_rng(0))


def initial(problem: Episodes) -> Tensor:
    return problem.model.initial_parameters(KeyedGenerator(3)).double()


def test_the_support_set_leads_to_the_query_set() -> None:
    problem: Problem = episodes(Sinusoid(), steps=3)
    theta_M = torch.zeros(4, problem.model.num_parameters, dtype=torch.float64)
    batches = [problem.draw(theta_M, k) for k in range(4)]
    assert [each.inputs.shape for each in batches] == 3 * [(4, 5, 1)] + [(4, 7, 1)]
    assert all(torch.equal(each.inputs, batches[0].inputs) for each in batches[:3])
    assert batches[3].inputs.dtype == batches[3].weights.dtype == torch.float64


def test_parts_of_examples_are_means_again() -> None:
    batch = episodes(Sinusoid()).draw(torch.zeros(4, 1), 1)
    part = batch.rows(slice(1, 3)).every(3, first=8)
    assert torch.equal(part.inputs, batch.inputs[1:3, 1::3])
    assert torch.equal(part.targets, batch.targets[1:3, 1::3])
    torch.testing.assert_close(part.weights, torch.full((2, 2), 0.5))
    assert batch.every(100, first=3).weights.tolist() == [[1.0]] * 4


def test_losses_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(2, 3, 6, 2, generator=generator)
    mean = Gaussian(outputs, torch.full((3, 1, 2), 0.7))
    batch = Examples.of(torch.zeros(3, 6, 1), targets)
    for task, loss in enumerate(mean_squared_error(mean, batch)):
        torch.testing.assert_close(loss, torch.nn.functional.mse_loss(outputs[task], targets[task]))
    labels = torch.tensor([[0, 1, 1, 0, 1, 0]] * 3)
    batch = Examples.of(torch.zeros(3, 6, 1), torch.nn.functional.one_hot(labels, 2).float())
    for task, loss in enumerate(cross_entropy(Categorical(outputs), batch)):
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(outputs[task], labels[task]))
    torch.testing.assert_close(
        accuracy(Categorical(outputs), batch), (outputs.argmax(dim=-1) == labels).float().mean(dim=1)
    )


@pytest.mark.parametrize("data", [Sinusoid(), Corners()])
def test_the_meta_gradient_is_that_of_finite_differences(data: DataSet) -> None:
    problem = episodes(data, steps=2)
    inner = Inner(problem.loss, 0.1, 2)
    theta = initial(problem)

    def outer_loss(theta: Tensor) -> float:
        path = inner_loop(problem, theta, inner)
        at = problem.model.at(path.thetas_M[-1])(path.batches[-1].inputs)
        return float(problem.loss(at, path.batches[-1]).mean())  # type: ignore[arg-type]

    exact = meta_gradient(problem, inner_loop(problem, theta, inner), inner, problem.outer_loss)
    assert abs(exact.loss - outer_loss(theta)) < 1e-12
    step = 1e-5  # the error is of its square; at 1e-5 about 1e-10, and rounding 1e-11
    for direction in torch.eye(len(theta), dtype=torch.float64)[::5]:
        slope = (outer_loss(theta + step * direction) - outer_loss(theta - step * direction)) / (2 * step)
        assert abs(slope - float(exact.gradient @ direction)) < 1e-7


def test_metrics_are_of_the_query_set_before_and_after() -> None:
    problem = episodes(Corners(), steps=5, num_tasks=10)
    theta = torch.zeros(problem.model.num_parameters, dtype=torch.float64)
    theta[:24] = initial(problem)[:24]  # the hidden layer; the output is 0, and knows nothing
    path = inner_loop(problem, theta, Inner(problem.loss, 2.0, 5))
    algorithm = Maml(MamlOptions(inner_lr=2.0, inner_steps=5))
    metrics = episode_metrics(problem, algorithm, {"theta": theta}, {"theta": theta})
    assert metrics.keys() == {"loss/pre", "loss/post", "accuracy/pre", "accuracy/post"}
    assert abs(metrics["loss/pre"] - log(3)) < 1e-6
    assert abs(metrics["accuracy/pre"] - 1 / 3) < 1e-6
    assert metrics["loss/post"] < 0.3
    assert metrics["accuracy/post"] > 0.95
    query = problem.sets[1].to(theta.device, theta.dtype)
    at = problem.model.at(path.thetas_M[-1])(query.inputs)
    assert abs(metrics["loss/post"] - float(cross_entropy(at, query).mean())) < 1e-12
    assert abs(metrics["accuracy/post"] - float(accuracy(at, query).mean())) < 1e-12


def test_a_regression_has_no_accuracy() -> None:
    problem = episodes(Sinusoid())
    state = {"theta": initial(problem)}
    metrics = episode_metrics(problem, Maml(MamlOptions()), state, state)
    assert metrics.keys() == {"loss/pre", "loss/post"}


def test_ranks_that_disagree_are_found() -> None:
    problem = episodes(Sinusoid())
    state = {"theta": initial(problem)}
    other = torch.tensor([1.0, 12345.0], dtype=torch.float64)
    apart = dataclasses.replace(problem, mean=TaskMean(8, lambda part: part + other))
    with pytest.raises(RuntimeError, match="the ranks have come to different parameters"):
        episode_metrics(apart, Maml(MamlOptions()), state, state)


def test_a_share_of_the_tasks_has_the_same_examples() -> None:
    whole = episodes(Sinusoid())
    part = dataclasses.replace(whole, tasks=whole.tasks[2:], draws=dataclasses.replace(whole.draws, first_task=2))
    assert torch.equal(part.sets[1].inputs, whole.sets[1].inputs[2:])


def test_divergence_is_one_line() -> None:
    problem = episodes(Sinusoid(), steps=2)
    theta_M = initial(problem).expand(4, -1).clone()
    theta_M[2, 0] = torch.nan
    with pytest.raises(Diverged, match=r"task 3 \(.* sin\(x - .*\), after 1 gradient step: .* lower --inner-lr"):
        problem.draw(theta_M, 1)


def test_pictures_come_as_a_problem_too() -> None:
    data = omniglot(ways=5)
    tasks = data.sample_tasks("train", 2, KeyedGenerator(1))
    pixels = MlpPolicy(observation_size=28, action_size=5, choices=(5,))
    draws = Draws(Purpose.EPISODES, 0)
    problem: Problem = Episodes(pixels, data, tasks, draws, 1, 3, 1, TaskMean(2), np.random.default_rng(0))
    assert problem.draw(torch.zeros(2, 3), 0).inputs.shape == (2, 5, 1, 28, 28)
    assert problem.draw(torch.zeros(2, 3), 1).inputs.shape == (2, 15, 1, 28, 28)
    assert problem.estimators["plain"].loss is problem.loss is cross_entropy
