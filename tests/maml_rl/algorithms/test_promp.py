"""ProMP: each epoch's gradient against autograd through everything, its penalty, and what ties it to MAML."""

import pytest
import torch

from maml_rl.algorithms import promp as promp_module
from maml_rl.algorithms.promp import adapted_penalty
from maml_rl.models.policies import MlpPolicy
from tests.maml_rl import finite_differences
from tests.maml_rl.algorithms import through_everything as oracle
from tests.maml_rl.algorithms.through_everything import RecordingProblem, asked_of_a_trust_region, made

POLICIES = {
    "gaussian": MlpPolicy(3, 2, (5,), "tanh", output_scale=2.0),
    "categorical": MlpPolicy(3, 4, (5,), "tanh", output_scale=2.0, choices=(4,)),
}


@pytest.fixture(params=POLICIES)
def policy(request) -> MlpPolicy:
    return POLICIES[request.param]


@pytest.fixture(params=[1, 2], ids=["K=1", "K=2"])
def steps(request) -> int:
    return request.param


def problem_of(policy, draw_samples, steps: int) -> RecordingProblem:
    return RecordingProblem(policy, [draw_samples(policy, num_steps=20, seed=10 + k) for k in range(steps + 1)])


def epochs_of(monkeypatch, algorithm, state, problem):
    """theta and the gradient at it, of each of Adam's steps of an update, and what it returns."""
    epochs = []
    real = promp_module.adam_step

    def step(theta, gradient, moments, lr):
        epochs.append((theta, gradient))
        return real(theta, gradient, moments, lr)

    with monkeypatch.context() as patch:
        patch.setattr(promp_module, "adam_step", step)
        return epochs, *algorithm.update(state, problem)


@pytest.mark.parametrize("inner_loss", ["lvc", "plain", "dice"])
def test_each_epoch_s_gradient_against_autograd_through_everything(
    policy, steps, inner_loss, draw_samples, monkeypatch
) -> None:
    """On the batches of the first: the inner steps are taken anew from each theta, and ratios are no longer 1."""
    options = {"inner_steps": steps, "inner_loss": inner_loss, "meta_lr": 0.03, "meta_epochs": 3, "kl_penalty": 0.5}
    algorithm, _, state = made("promp", policy, clip=0.1, **options)
    problem = problem_of(policy, draw_samples, steps)
    epochs, after, metrics = epochs_of(monkeypatch, algorithm, state, problem)
    assert len(epochs) == 3
    assert len(problem.drawn) == steps + 1
    losses = []
    for theta, gradient in epochs:
        loss, expected = oracle.outer_loss_and_gradient(
            lambda x: oracle.distributions(policy, x, 0.1, oracle.INNER[inner_loss], problem.drawn),
            oracle.proximal(0.1, 0.5),
            theta,
            problem.drawn,
        )
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-11)
        losses.append(loss)
    if inner_loss != "dice":
        assert (metrics["promp/loss_first_epoch"], metrics["loss"]) == pytest.approx((losses[0], losses[-1]), abs=1e-10)

    # What it returns is where torch's Adam leads with these gradients.
    leaf = state["theta"].clone().requires_grad_()
    adam = torch.optim.Adam([leaf], lr=0.03)
    for theta, gradient in epochs:
        torch.testing.assert_close(leaf.detach(), theta)
        leaf.grad = gradient
        adam.step()
    torch.testing.assert_close(after["theta"], leaf.detach())


def test_later_epochs_clip_and_divide_by_the_policies_that_played(draw_samples, monkeypatch) -> None:
    """Without the ratio of the inner loss, or without the clip, the gradient of a later epoch is another."""
    policy = POLICIES["gaussian"]
    algorithm, _, state = made("promp", policy, meta_lr=0.03, meta_epochs=2, clip=0.1, kl_penalty=0.0)
    problem = problem_of(policy, draw_samples, 1)
    epochs, _, _ = epochs_of(monkeypatch, algorithm, state, problem)
    for inner, clip in ((oracle.plain, 0.1), (oracle.lvc, 1e9)):
        for epoch, (theta, gradient) in enumerate(epochs):
            _, other = oracle.outer_loss_and_gradient(
                lambda x, inner=inner: oracle.distributions(policy, x, 0.1, inner, problem.drawn),
                oracle.proximal(clip, 0.0),
                theta,
                problem.drawn,
            )
            close = torch.allclose(gradient, other, rtol=1e-3)
            assert close == (epoch == 0 and clip == 1e9)


def test_the_first_gradient_against_finite_differences(five_parameters, steps, draw_samples, monkeypatch) -> None:
    """Of the outer loss that MAML's line search sees with the same inner loss: the clip does not act yet."""
    algorithm, _, state = made("promp", five_parameters, inner_steps=steps, meta_epochs=1)
    problem = problem_of(five_parameters, draw_samples, steps)
    [(theta, gradient)], _, _ = epochs_of(monkeypatch, algorithm, state, problem)
    maml, _, _ = made("maml", five_parameters, inner_steps=steps, inner_loss="lvc")
    evaluate = asked_of_a_trust_region(monkeypatch, maml, state, problem).evaluate
    expected = finite_differences.gradient(lambda x: evaluate(x)[0], theta, h=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-8)


def test_one_epoch_without_clip_and_penalty_is_maml_s_gradient(policy, steps, draw_samples, monkeypatch) -> None:
    for inner_loss in ("plain", "lvc", "dice"):
        options = {"inner_steps": steps, "inner_loss": inner_loss}
        problem = problem_of(policy, draw_samples, steps)
        algorithm, _, state = made("promp", policy, meta_epochs=1, clip=1e9, kl_penalty=0.0, **options)
        [(theta, gradient)], after, metrics = epochs_of(monkeypatch, algorithm, state, problem)
        question = asked_of_a_trust_region(monkeypatch, made("maml", policy, **options)[0], state, problem)
        torch.testing.assert_close(gradient, question.gradient, rtol=1e-12, atol=1e-14)
        assert torch.equal(theta, question.point)
        assert metrics["loss"] == pytest.approx(question.loss, abs=1e-14)
        # Adam's first step has the size of meta_lr in each parameter.
        torch.testing.assert_close(after["theta"], theta - 1e-3 * gradient.sign(), rtol=0, atol=1e-5)


def test_the_penalty_holds_the_policies_before_adaptation(draw_samples) -> None:
    """It is no constraint on the adapted ones: with a large one the policies that played stay, step for step."""
    policy = POLICIES["gaussian"]
    kls = []
    for penalty in (0.0, 100.0):
        algorithm, _, state = made("promp", policy, meta_lr=0.01, meta_epochs=10, kl_penalty=penalty)
        kls.append(algorithm.update(state, problem_of(policy, draw_samples, 1))[1]["promp/kl_pre"])
    assert 0 < kls[1] < 0.1 * kls[0]


def test_the_kl_of_the_metrics_is_after_the_last_step(draw_samples) -> None:
    policy = POLICIES["gaussian"]
    algorithm, _, state = made("promp", policy, meta_lr=0.03, meta_epochs=2, inner_steps=2)
    problem = problem_of(policy, draw_samples, 2)
    after, metrics = algorithm.update(state, problem)
    along = oracle.distributions(policy, after["theta"].requires_grad_(), 0.1, oracle.lvc, problem.drawn)
    kls = [
        float((b.weights * oracle.kl_old_new(b.old, d)).sum(1).mean().detach())
        for d, b in zip(along, problem.drawn, strict=True)
    ]
    assert metrics["promp/kl_pre"] == pytest.approx(max(kls[:-1]), rel=1e-9)
    assert metrics["kl"] == pytest.approx(kls[-1], rel=1e-9)


def test_the_penalty_adapts_to_its_target() -> None:
    penalty = torch.tensor([1.0, 2.0, 3.0, 4.0])
    kl, target = [0.0066, 0.0067, 0.0149, 0.0151], 0.01
    assert adapted_penalty(penalty, kl, target).tolist() == [0.5, 2.0, 3.0, 8.0]
    assert torch.equal(adapted_penalty(penalty, kl, 0.0), penalty)


def test_the_adapted_penalty_is_part_of_the_state(draw_samples, monkeypatch) -> None:
    """Each step of the inner loop has its own, and the next update takes it."""
    policy = POLICIES["gaussian"]
    options = {"inner_steps": 2, "meta_lr": 0.03, "kl_penalty": 0.25}
    algorithm, _, state = made("promp", policy, target_kl=1e3, **options)
    problem = problem_of(policy, draw_samples, 2)
    assert state["kl_penalty"].tolist() == [0.25, 0.25]
    after, metrics = algorithm.update(state, problem)
    assert after["kl_penalty"].tolist() == [0.125, 0.125]
    assert metrics["promp/kl_penalty"] == 0.25
    assert algorithm.update(after, problem)[1]["promp/kl_penalty"] == 0.125
    assert made("promp", policy, target_kl=1e-9, **options)[0].update(state, problem)[0]["kl_penalty"].tolist() == [
        0.5,
        0.5,
    ]
    kept = made("promp", policy, **options)[0].update(state, problem)[0]
    assert kept["kl_penalty"].tolist() == [0.25, 0.25]
    assert kept["adam.t"] == 5
    # It weighs in the gradient of a later epoch.
    (_, first), (_, second), *_ = epochs_of(monkeypatch, algorithm, state, problem)[0]
    (_, same), (_, other), *_ = epochs_of(
        monkeypatch, algorithm, state | {"kl_penalty": torch.tensor([0.25, 9.0])}, problem
    )[0]
    assert torch.equal(first, same)
    assert not torch.allclose(second, other)


def test_adam_goes_on_with_its_moments(draw_samples) -> None:
    policy = POLICIES["gaussian"]
    algorithm, _, state = made("promp", policy, meta_epochs=2)
    problem = problem_of(policy, draw_samples, 1)
    after, _ = algorithm.update(state, problem)
    twice, _ = algorithm.update(after, problem)
    fresh, _ = algorithm.update(state | {"theta": after["theta"]}, problem)
    assert twice["adam.t"] == 4
    assert not torch.equal(twice["theta"], fresh["theta"])
