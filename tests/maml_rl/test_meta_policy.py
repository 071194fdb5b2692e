"""The public interface, by the name that users import."""

import numpy as np
import pytest
import torch

import maml_rl
from maml_rl import evaluate
from maml_rl.interface.loading import untrained
from maml_rl.meta.inner_loop import inner_step
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.shipped import POLICIES
from maml_rl.rl.losses import policy_gradient
from maml_rl.rl.samples import make_samples
from maml_rl.runs.checkpoint import Checkpoint, save_checkpoint
from tests.maml_rl.test_train import train

TASK = (0.3, -0.2)


@pytest.fixture
def policy(tmp_path) -> maml_rl.MetaPolicy:
    train(tmp_path / "run", "--iterations", "2", "--keep-best", "--validate-every", "1")
    return maml_rl.load(tmp_path / "run")


def test_a_run_loads_its_best_policy_and_then_its_last(tmp_path, policy) -> None:
    checkpoints = tmp_path / "run" / "checkpoints"
    best = maml_rl.load(checkpoints / "best.safetensors")
    assert torch.equal(policy.theta, best.theta)
    (checkpoints / "best.safetensors").unlink()
    assert maml_rl.load(tmp_path / "run").iteration == 2


def test_adapting_is_the_inner_loop(policy) -> None:
    episodes = maml_rl.roll_out(policy, TASK)
    assert episodes.rewards.shape == (1, 2, 10)
    samples = make_samples(episodes, policy.config.discount, policy.config.gae_lambda)
    inner_lr = policy.config.algorithm_options.inner_lr
    expected = inner_step(policy.policy, policy.theta[None], samples, policy_gradient, inner_lr)[0]
    adapted = maml_rl.adapt(policy, TASK)
    assert adapted.gradient_steps == 1
    torch.testing.assert_close(adapted.theta, expected, rtol=0, atol=0)
    assert not torch.equal(adapted.theta, policy.theta)


def test_two_steps_are_one_step_twice(policy) -> None:
    at_once = maml_rl.adapt(policy, TASK, gradient_steps=2)
    one_by_one = maml_rl.adapt(maml_rl.adapt(policy, TASK), TASK)
    assert torch.equal(at_once.theta, one_by_one.theta)
    assert at_once.gradient_steps == one_by_one.gradient_steps == 2


def test_actions(policy) -> None:
    observation = np.array([0.1, 0.2])
    mean = policy.act(observation)
    assert mean.shape == (2,)
    assert np.array_equal(mean, policy.act(observation))
    draws = np.stack([policy.act(observation, seed=seed) for seed in range(200)])
    assert np.abs(draws.mean(axis=0) - mean).max() < 0.3
    std = policy.policy.mean_std(policy.theta)
    assert draws.std(axis=0).mean() == pytest.approx(std, rel=0.2)
    with pytest.raises(ValueError, match="observation"):
        policy.act(np.zeros(3))


def test_bad_values_are_named(policy) -> None:
    with pytest.raises(ValueError, match=r"task: got .* 2 numbers"):
        maml_rl.adapt(policy, (1, 2, 3))
    with pytest.raises(ValueError, match="gradient_steps: got -1"):
        maml_rl.adapt(policy, TASK, gradient_steps=-1)
    with pytest.raises(ValueError, match="episodes: got 0"):
        maml_rl.roll_out(policy, TASK, episodes=0)
    with pytest.raises(AttributeError, match="has no attribute 'adopt'"):
        maml_rl.adopt  # type: ignore[attr-defined]  # noqa: B018


def test_the_interface_has_what_it_names() -> None:
    for name in maml_rl.__all__:
        assert getattr(maml_rl, name).__module__.startswith("maml_rl.")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = maml_rl.nothing


def test_shipped_policies_load_by_name_from_anywhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    by_path = maml_rl.load(POLICIES / "navigation-2d.safetensors")
    assert torch.equal(maml_rl.load("navigation-2d").theta, by_path.theta)
    with pytest.raises(ValueError, match=r"allowed: a run directory.*nearest: halfcheetah-dir"):
        maml_rl.load("halfcheeta-dir")
    (tmp_path / "navigation-2d").mkdir()  # a folder of the user's own comes first
    with pytest.raises(ValueError, match="a run with a checkpoint"):
        maml_rl.load("navigation-2d")


def test_a_policy_that_was_trained_on_cuda_is_loaded_and_evaluated_anywhere(tmp_path) -> None:
    config = configure(RlConfig(), {"num_tasks": 2, "episodes_per_task": 2, "horizon": 5, "device": "cuda"})
    policy = untrained(config)
    path = save_checkpoint(tmp_path, Checkpoint(policy.state, 0, 0), config)
    loaded = maml_rl.load(path)
    assert maml_rl.roll_out(maml_rl.adapt(loaded, (0.1, 0.2)), (0.1, 0.2)).rewards.shape == (1, 2, 5)
    assert evaluate.main([str(path), "--tasks", "2", "--gradient-steps", "1"]) == 0
