"""Updates by a trust region against autograd through everything, and against finite differences, in float64.

ProMP and Reptile, which take other steps, have this in their own files.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor

from maml_rl.models.policies import MlpPolicy
from tests.maml_rl import finite_differences
from tests.maml_rl.algorithms import through_everything as oracle
from tests.maml_rl.algorithms.catalogue_names import LEFT_OUT, OF_POLICIES
from tests.maml_rl.algorithms.through_everything import RecordingProblem, asked_of_a_trust_region, made

POLICIES = {
    "gaussian": MlpPolicy(3, 2, (5,), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 4, (5,), "tanh", output_scale=2.0, choices=(4,)),
}
LR = 0.1


def chosen(model: MlpPolicy, *beginnings: str) -> Tensor:
    """[P]: LR at the parameters whose names begin so, 0 elsewhere."""
    return torch.cat(
        [
            torch.full((prod(shape),), LR * name.startswith(beginnings), dtype=torch.float64)
            for name, shape in model.parameter_shapes.items()
        ]
    )


@dataclass(frozen=True)
class Case:
    """An algorithm in words of the oracle."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    inner: str = "plain"
    outer: oracle.OuterLoss = oracle.of_the_last
    alpha: Callable[[MlpPolicy], Tensor | float] = lambda model: LR
    first_order: bool = False
    learns_alpha: bool = False
    stays: str | None = None  # of the outer step: the parameter that it does not move
    has_inner_steps: bool = True
    is_consistent: bool = True  # its derivatives are those of what its line search sees

    @property
    def retaken(self) -> str:
        """The inner loss as the line search sees it: at other parameters DiCE's gradient is the policy gradient."""
        return "plain" if self.inner == "dice" else self.inner


CASES = {
    "maml": Case("maml"),
    "fomaml": Case("fomaml", first_order=True, is_consistent=False),
    "e_maml": Case("e_maml", {"exploration_weight": 0.7}, outer=oracle.exploring(0.7)),
    "e_maml, lvc": Case("e_maml", {"inner_loss": "lvc"}, inner="lvc", outer=oracle.exploring(1.0)),
    "lvc": Case("lvc", inner="lvc"),
    "dice": Case("dice", inner="dice"),
    "maml, dice": Case("maml", {"inner_loss": "dice"}, inner="dice"),
    "e_maml, dice": Case("e_maml", {"inner_loss": "dice"}, inner="dice", outer=oracle.exploring(1.0)),
    "anil, dice": Case("anil", {"inner_loss": "dice"}, inner="dice", alpha=lambda model: chosen(model, "layer1.")),
    "meta_sgd, dice": Case("meta_sgd", {"inner_loss": "dice"}, inner="dice", learns_alpha=True),
    "cavia, dice": Case(
        "cavia",
        {"context_size": 2, "inner_loss": "dice"},
        inner="dice",
        alpha=lambda model: chosen(model, "context"),
        stays="context",
    ),
    "anil": Case("anil", alpha=lambda model: chosen(model, "layer1.")),
    "anil, rest": Case("anil", {"adapt_rest": True}, alpha=lambda model: chosen(model, "layer1.", "log_std")),
    "meta_sgd": Case("meta_sgd", {"min_init_lr": 0.02, "max_init_lr": 0.2}, learns_alpha=True),
    "cavia": Case("cavia", {"context_size": 2}, alpha=lambda model: chosen(model, "context"), stays="context"),
    "pretrain": Case("pretrain", has_inner_steps=False),
    "oracle": Case("oracle", has_inner_steps=False),
}


def test_every_algorithm_has_a_case() -> None:
    elsewhere = {"promp", "reptile"}
    assert {case.name for case in CASES.values()} == set(OF_POLICIES) - elsewhere - LEFT_OUT.keys()


@pytest.fixture(params=CASES)
def case(request) -> Case:
    return CASES[request.param]


@pytest.fixture(params=[1, 2], ids=["K=1", "K=2"])
def steps(request) -> int:
    return request.param


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture
def update(case, steps, policy, draw_samples, monkeypatch):
    """What the update asked, the point that it began at, and its batches."""
    return asked(case, steps, policy, draw_samples, monkeypatch)


def asked(case: Case, steps: int, policy: MlpPolicy, draw_samples, monkeypatch):
    if not case.has_inner_steps and steps > 1:
        pytest.skip("it has no inner steps")
    options = case.options | {"curvature_stride": 1}
    if case.has_inner_steps:
        options |= {"inner_steps": steps} | ({} if case.learns_alpha else {"inner_lr": LR})
    algorithm, model, state = made(case.name, policy, **options)
    batches = [draw_samples(policy, num_steps=20, seed=10 + k) for k in range(steps + 1)]
    problem = RecordingProblem(model, batches if case.has_inner_steps else batches[:1])
    question = asked_of_a_trust_region(monkeypatch, algorithm, state, problem)
    point = torch.cat([state["theta"], state["alpha"]]) if case.learns_alpha else state["theta"]
    assert torch.equal(question.point, point)

    def along(x: Tensor, inner: str = case.inner) -> list[Any]:
        theta, alpha = x.tensor_split(2) if case.learns_alpha else (x, case.alpha(model))
        return oracle.distributions(model, theta, alpha, oracle.INNER[inner], problem.drawn, case.first_order)

    moving = torch.ones_like(point)
    if case.stays:
        moving = (chosen(model, case.stays) == 0).double()
    return question, point, problem.drawn, along, moving


def test_the_gradient_against_autograd_through_everything(case, update) -> None:
    question, point, batches, along, moving = update
    loss, gradient = oracle.outer_loss_and_gradient(along, case.outer, point, batches)
    assert gradient.norm() > 1e-3
    torch.testing.assert_close(question.gradient, moving * gradient, rtol=1e-8, atol=1e-12)
    if case.inner != "dice":  # whose surrogate has no value
        assert question.loss == pytest.approx(loss, abs=1e-12)


def test_the_curvature_against_autograd_through_everything(case, update) -> None:
    question, point, batches, along, moving = update
    v = torch.randn(len(point), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    retaken = oracle.mean_kl(lambda x: along(x, case.retaken), point, batches)
    _, expected = torch.autograd.functional.hvp(retaken, point, moving * v)
    assert expected.norm() > 1e-2
    torch.testing.assert_close(question.product(v), moving * expected, rtol=1e-7, atol=1e-9)


def test_the_line_search_sees_what_autograd_sees(case, update) -> None:
    """At another point, so that ratios are no longer 1, and the step sizes no longer those that drew the batches."""
    question, point, batches, along, moving = update
    x = point + 0.05 * moving * torch.randn(len(point), dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    loss, kl = question.evaluate(x)
    leaf = x.clone().requires_grad_()
    assert loss == pytest.approx(float(case.outer(along(leaf), batches).mean().detach()), rel=1e-8)
    assert kl == pytest.approx(float(oracle.mean_kl(along, point, batches)(leaf).detach()), rel=1e-8)
    assert kl > 1e-4


@pytest.mark.parametrize(
    "name",
    [
        name if case.is_consistent else pytest.param(name, marks=pytest.mark.skip(reason="its Hessians are estimates"))
        for name, case in CASES.items()
    ],
)
def test_gradient_and_curvature_against_finite_differences(name, steps, five_parameters, draw_samples, monkeypatch):
    """Of the loss and the KL that the line search sees, by theta, and by alpha if it is learned."""
    question, point, _, _, moving = asked(CASES[name], steps, five_parameters, draw_samples, monkeypatch)
    if CASES[name].inner != "dice":  # whose gradient is that of a loss on fresh data
        expected = finite_differences.gradient(lambda x: question.evaluate(x)[0], point, h=1e-6)
        torch.testing.assert_close(question.gradient, moving * expected, rtol=1e-6, atol=1e-8)
    generator = torch.Generator().manual_seed(5)
    for _ in range(4):
        u, v = torch.randn(2, len(point), dtype=torch.float64, generator=generator)
        curvature = finite_differences.second_derivative(
            lambda x: question.evaluate(x)[1], point, moving * u, moving * v
        )
        assert float(u @ question.product(v)) == pytest.approx(curvature, rel=1e-4, abs=1e-5)
