"""The meta-gradient's estimators agree where they must, and the statistics are those of known distributions."""

import json
import math

import pytest
import torch

from benchmarks.meta_gradient_variance import estimates, figure, main, products, spread, statistics, with_interval
from maml_rl.meta.inner_loop import inner_step
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.losses import ESTIMATORS
from tests.maml_rl.given_problem import GivenProblem

POLICY = MlpPolicy(3, 2, (6, 5), "tanh")


@pytest.fixture
def problem(draw_samples):
    """With episodes of a step in every third, and of several steps elsewhere."""
    batches = [draw_samples(POLICY, num_steps=9, seed=k) for k in range(2)]
    episodes = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2, 3]).expand(3, -1)
    return GivenProblem(POLICY, [type(each)(**{**vars(each), "episodes": episodes}) for each in batches])


@pytest.fixture
def theta():
    return 0.3 * torch.randn(POLICY.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_without_an_inner_step_all_are_the_policy_gradient(problem, theta) -> None:
    first_order, *others = estimates(problem, theta, 0.0, 1).values()
    assert len(others) == 3
    for other in others:
        torch.testing.assert_close(other, first_order)


def test_inner_steps_are_equal_and_meta_gradients_are_not(problem, theta) -> None:
    batch = problem.draw(theta.expand(3, -1), 0)
    first, *others = [inner_step(POLICY, theta.expand(3, -1), batch, each.loss, 0.3) for each in ESTIMATORS.values()]
    for other in others:
        torch.testing.assert_close(other, first)
    gradients = list(estimates(problem, theta, 0.3, 1).values())
    apart = torch.stack([(a - b).norm() for i, a in enumerate(gradients) for b in gradients[:i]])
    assert (apart > 1e-4 * gradients[0].norm()).all()


def test_of_episodes_of_one_step_lvc_is_dice(problem, theta) -> None:
    batches = [type(each)(**{**vars(each), "episodes": torch.arange(9).expand(3, -1)}) for each in problem.batches]
    of = estimates(GivenProblem(POLICY, batches), theta, 0.3, 1)
    torch.testing.assert_close(of["lvc"], of["dice"])


def test_the_statistics_are_those_of_the_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.full((50,), 0.4, dtype=torch.float64)  # of square 8

    def draws(std: float) -> torch.Tensor:
        return mean + std * torch.randn(200, 50, dtype=torch.float64, generator=generator)

    square_of_mean, variance = spread(products(draws(1.0)))  # 50
    assert (square_of_mean, variance) == (pytest.approx(8, rel=0.2), pytest.approx(50, rel=0.05))
    gradients = {"first_order": draws(0.5), "plain": draws(0.5), "lvc": draws(1.0), "dice": draws(2.0)}
    result = statistics(gradients)
    for name, wanted in (("plain", 1.25), ("lvc", 2.5), ("dice", 5.0)):
        value, low, high = result[name]["relative_std"]
        assert low < wanted < high < 2 * low, (name, value)
    assert result["dice"]["std_over_lvc"][0] == pytest.approx(2, rel=0.05)
    assert result["lvc"]["distance"] == pytest.approx(result["lvc"]["distance_error"], rel=0.3)  # means are equal
    assert result["dice"]["distance"] == 0


def test_the_interval_is_that_of_a_mean() -> None:
    x = torch.randn(200, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 10
    value, low, high = with_interval(lambda rows: float(x[rows].mean()), 200)
    assert value == pytest.approx(float(x.mean()))
    assert math.log(high / low) / 2 == pytest.approx(1.96 * float(x.std()) / math.sqrt(200) / value, rel=0.01)


def test_it_writes_a_figure(capsys, tmp_path) -> None:
    size = ["--iterations", "1", "--tasks", "2", "--episodes", "2", "3", "--draws", "3"]
    flags = ["--num-threads", "1", "--num-tasks", "2", "--episodes-per-task", "2", "--horizon", "5"]
    output = tmp_path / "figure.png"
    assert main(["--env", "navigation-2d", *size, "--output", str(output), "--", *flags]) == 0
    result = json.loads(capsys.readouterr().out)
    policies = {(row["policy"], row["episodes"]) for row in result["results"]}
    assert policies == {(policy, k) for policy in ("untrained", "after 1 iterations") for k in (2, 3)}
    assert output.stat().st_size > 1000
    assert len(figure(result["results"]).axes) == 2


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--draws", "2"], ["--draws", "2", ">= 3"]),
        (["--output", "figure.jpg"], ["--output", ".png"]),
        (["--", "--algorithm", "anil"], ["--algorithm", "'anil'", "maml"]),
        (["--env", "navigation-3d"], ["--env", "nearest: navigation-2d"]),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, parts) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert all(part in line for part in parts), line
