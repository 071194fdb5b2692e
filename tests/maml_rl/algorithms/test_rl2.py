"""RL^2: a policy that learns within a trial."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import maml_rl
from maml_rl import evaluate, plot
from maml_rl.algorithms.rl2 import Rl2, Rl2Options, as_trials, gru_of, loss_gradient
from maml_rl.envs import TrialFamily
from maml_rl.envs.toys.bandit import Bandit
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.gru import GruPolicy
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.reports.evaluation_file import read_evaluation
from maml_rl.rl.baseline import baseline_features
from maml_rl.rl.rollouts import Rollouts
from maml_rl.rl.samples import make_samples
from maml_rl.rl.trial import joined
from maml_rl.train import main
from tests.maml_rl.test_train import assert_same_tensors, checkpoint_bytes, metrics, without_times

TINY = ["--algorithm", "rl2", "--num-tasks", "3", "--episodes-per-task", "2", "--horizon", "10"]
TINY += ["--hidden-sizes", "6", "--num-threads", "1", "--device", "cpu"]
TASK = (0.3, -0.2)
FALLS = {"env": "hopper-rand-params", "variant": "promp", "init_log_std": 3.0, "hidden_sizes": [6, 5]}
CHOICES = {"env": "tabular-mdp", "hidden_sizes": [5]}
DRAWS = Draws(Purpose.EPISODES, 1)


def train(run: Path, *arguments: str, env: str = "navigation-2d") -> None:
    assert main(["--env", env, *TINY, "--run-dir", str(run), *arguments]) == 0


def problem(values: dict, horizon: int = 30) -> tuple[Rl2, dict[str, torch.Tensor], Rollouts]:
    """In float64: three episodes a trial, four trials of each of three tasks."""
    sizes = {"algorithm": "rl2", "num_tasks": 3, "episodes_per_task": 4, "horizon": horizon, "trial_episodes": 3}
    setting = make_rl_setting(configure(RlConfig(discount=0.9, gae_lambda=0.8), {**sizes, **values}))
    state = {name: part.double() for name, part in setting.initial_state().items()}
    tasks = setting.family.sample_tasks(3, keyed(Purpose.TASKS, 1))
    assert isinstance(setting.algorithm, Rl2)
    return setting.algorithm, state, setting.problem(tasks, DRAWS)


def played(algorithm: Rl2, state: dict[str, torch.Tensor], rollouts: Rollouts) -> list:
    return [rollouts.play(actor, k) for k, actor in enumerate(algorithm.adapt(state, rollouts, 2))]


@pytest.mark.parametrize("values", [FALLS, CHOICES], ids=["falls", "choices"])
def test_the_distributions_of_a_trial_are_those_that_it_was_played_with(values) -> None:
    algorithm, state, rollouts = problem(values)
    episodes = played(algorithm, state, rollouts)
    trials = as_trials(episodes, state["theta"], rollouts)
    old = trials.batch.old
    assert old is not None
    recomputed = trials.distributions(state["theta"], slice(None))
    torch.testing.assert_close(recomputed[0], old[0], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(old[0], rollouts.model.at(state["theta"].expand(3, -1))(trials.batch.inputs)[0])

    ends = trials.batch.inputs.unflatten(1, (4, -1))[..., -1]  # what the policy is told of them
    expected = torch.cat([each.times == 0 for each in episodes], dim=-1)
    expected[..., 0] = False
    assert torch.equal(ends == 1, expected)
    assert expected.sum() > (24 + 10 if values is FALLS else 23)


def test_a_trial_ends_at_its_end_alone() -> None:
    """With discount 1 and lambda 1 an advantage is what the rest of the trial pays, minus a fit to its features."""
    algorithm, state, rollouts = problem(FALLS)
    episodes = played(algorithm, state, rollouts)
    assert any(each.terminated.any() for each in episodes)
    whole = joined(episodes, rollouts.family.action_size + 2)
    samples = make_samples(whole, 1.0, 1.0)
    rewards = torch.cat([each.rewards for each in episodes], dim=-1)
    to_go = rewards.flip(-1).cumsum(dim=-1).flip(-1).flatten(1)  # [M, N]
    torch.testing.assert_close(samples.returns, rewards.sum(dim=-1).mean(dim=-1))
    features = baseline_features(whole.observations, torch.arange(90).expand(3, 4, 90)).flatten(1, 2)
    ridge = 1e-5 * torch.eye(features.shape[-1], dtype=torch.float64)
    fit = features @ torch.linalg.solve(features.mT @ features + ridge, features.mT @ to_go[..., None])
    advantages = to_go - fit[..., 0]
    advantages -= advantages.mean(dim=1, keepdim=True)
    advantages /= advantages.std(dim=1, keepdim=True, correction=0)
    torch.testing.assert_close(samples.advantages, advantages, rtol=1e-4, atol=1e-4)


def step_by_step(model: GruPolicy, theta: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """The GRU's equations: the network's output [m, E, T, A] of one hidden layer's policy. inputs: [m, E, T, O]."""
    p = {name: part[0] for name, part in model.unflatten(theta[None]).items()}
    h, outputs = inputs.new_zeros(*inputs.shape[:2], model.memory_size), []
    for x in inputs.unbind(dim=2):
        of_x = (x @ p["gru.weight_input"].T + p["gru.bias_input"]).chunk(3, dim=-1)
        of_h = (h @ p["gru.weight_memory"].T + p["gru.bias_memory"]).chunk(3, dim=-1)
        reset, update = (torch.sigmoid(of_x[i] + of_h[i]) for i in (0, 1))
        h = (1 - update) * torch.tanh(of_x[2] + reset * of_h[2]) + update * h
        outputs.append(h @ p["output.weight"] + p["output.bias"])
    return torch.stack(outputs, dim=2)


@pytest.mark.parametrize("values", [FALLS | {"hidden_sizes": [5]}, CHOICES], ids=["falls", "choices"])
def test_the_gradient_is_that_of_autograd_through_everything(values) -> None:
    algorithm, state, rollouts = problem(values, horizon=10)
    trials = as_trials(played(algorithm, state, rollouts), state["theta"], rollouts)
    options = Rl2Options(clip=0.05, entropy_weight=0.3)
    noise = torch.randn(len(state["theta"]), generator=torch.Generator().manual_seed(0)).double()
    theta = state["theta"] + 0.1 * noise  # some ratios are clipped
    loss, gradient = loss_gradient(rollouts, theta, trials, options)

    model, batch = gru_of(rollouts), trials.batch
    point = theta.clone().requires_grad_()
    output = step_by_step(model, point, batch.inputs.unflatten(1, (4, -1))).flatten(1, 2)
    if model.choices:
        kind = [torch.distributions.OneHotCategorical(logits=logits) for logits in (batch.old[0], output)]
    else:
        stds = [model.unflatten(each[None])["log_std"].exp() for each in (state["theta"], point)]
        means = (batch.old[0], output)
        kind = [
            torch.distributions.Independent(torch.distributions.Normal(mean, std[:, None]), 1)
            for mean, std in zip(means, stds, strict=True)
        ]
    old, new = (each.log_prob(batch.actions) for each in kind)
    ratio = (new - old).exp()
    gain = torch.minimum(ratio * batch.advantages, ratio.clamp(0.95, 1.05) * batch.advantages)
    assert 0.1 < ((ratio - 1).abs() > 0.05).double().mean() < 0.95
    expected = -gain.mean() - 0.3 * kind[1].entropy().mean()
    (wanted,) = torch.autograd.grad(expected, point)
    assert loss == pytest.approx(float(expected.detach()), rel=1e-10)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12)

    # Any division of the tasks among ranks gives the same.
    halves = []
    for tasks in (slice(0, 2), slice(2, 3)):
        own = dataclasses.replace(trials, batch=batch.rows(tasks))
        share = dataclasses.replace(rollouts, tasks=rollouts.tasks[tasks], mean=TaskMean(3))
        halves.append(loss_gradient(share, theta, own, options)[1])
    torch.testing.assert_close(sum(halves), gradient, rtol=1e-12, atol=1e-15)


def test_an_update_changes_nothing_in_place_and_counts_every_episode() -> None:
    algorithm, state, rollouts = problem(CHOICES)
    before = {name: part.clone() for name, part in state.items()}
    after, row = algorithm.update(state, rollouts)
    assert_same_tensors(state, before)
    assert {name: part.shape for name, part in after.items()} == {name: part.shape for name, part in before.items()}
    assert float(after["adam.t"]) == 5
    assert sorted(rollouts.trajectories) == [0, 1, 2]
    assert row["kl"] > 0
    assert row["loss"] < row["rl2/loss_first_epoch"]


class Levers(Bandit):
    """One of two arms always pays, and the other one never does."""

    def sample_tasks(self, num_tasks, generator):
        first = (super().sample_tasks(num_tasks, generator)[:, :1] < 0.5).double()
        return torch.cat([first, 1 - first], dim=1)


def test_it_learns_to_explore_and_to_remember() -> None:
    """The best that can be known: the first pull pays half of the time, and all others always."""
    family = TrialFamily(Levers(2))
    algorithm = Rl2(Rl2Options(meta_lr=0.03))
    model = GruPolicy(family.observation_size, 2, (16,), choices=(2,))
    simulations = [family.simulate(20, 10)]
    state = algorithm.init(model, keyed(Purpose.INITIAL_PARAMETERS, 1))
    for i in range(25):
        tasks = family.sample_tasks(20, keyed(Purpose.TASKS, 1, i))
        draws = Draws(Purpose.EPISODES, 1, i)
        rollouts = Rollouts(
            model, family, simulations, tasks, draws, 3, 1.0, 1.0, TaskMean(20), np.random.default_rng(0)
        )
        state, _ = algorithm.update(state, rollouts)
    first, last = (rollouts.trajectories[k].mean_return() for k in (0, 1))
    assert first == pytest.approx(2.5, abs=0.4)
    assert last > 2.8


@pytest.fixture
def policy(tmp_path) -> maml_rl.MetaPolicy:
    train(tmp_path / "run", "--iterations", "2", "--keep-best", "--validate-every", "1")
    return maml_rl.load(tmp_path / "run")


def test_two_episodes_are_one_episode_twice(policy) -> None:
    at_once = maml_rl.adapt(policy, TASK, gradient_steps=2)
    one_by_one = maml_rl.adapt(maml_rl.adapt(policy, TASK), TASK)
    assert_same_tensors(at_once.state, one_by_one.state)
    assert at_once.gradient_steps == one_by_one.gradient_steps == 2
    assert torch.equal(at_once.theta, policy.theta)
    before, after = maml_rl.roll_out(policy, TASK), maml_rl.roll_out(at_once, TASK)
    assert before.rewards.shape == after.rewards.shape == (1, 2, 10)
    assert not torch.equal(before.outputs[:, :, 0], after.outputs[:, :, 0])  # it remembers
    assert maml_rl.adapt(policy, TASK, gradient_steps=0).state["memory"].abs().sum() == 0


def test_a_policy_that_remembers_does_not_act_on_an_observation_alone(policy) -> None:
    with pytest.raises(ValueError, match="a policy with a memory"):
        policy.act(np.zeros(policy.policy.observation_size))


def test_a_resumed_run_is_the_run(tmp_path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, "--iterations", "3")
    train(parts, "--iterations", "1")
    assert main(["--resume", str(parts), "--iterations", "3"]) == 0
    state = checkpoint_bytes(whole, 3)
    assert_same_tensors(state, checkpoint_bytes(parts, 3))
    assert set(state) == {"theta", "adam.m", "adam.v", "adam.t"}
    rows = metrics(whole)
    assert without_times(rows) == without_times(metrics(parts))
    assert [row["env_steps"] for row in rows] == [2 * 3 * 2 * 10 * i for i in (1, 2, 3)]


def test_two_ranks_learn_what_one_learns(tmp_path) -> None:
    alone = tmp_path / "alone"
    train(alone, "--iterations", "2", "--keep-best", env="halfcheetah-vel")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    command += ["maml_rl.train", "--env", "halfcheetah-vel", *TINY, "--run-dir", str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    command += ["--iterations", "2", "--keep-best"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    one, two = (checkpoint_bytes(run, 2)["theta"] for run in (alone, tmp_path / "two"))
    assert (one - two).norm() <= 1e-5 * one.norm()
    for row, expected in zip(without_times(metrics(tmp_path / "two")), without_times(metrics(alone)), strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_an_evaluation_counts_episodes(tmp_path, policy, capsys) -> None:
    run, output, video = str(tmp_path / "run"), tmp_path / "out.json", tmp_path / "film.gif"
    sizes = ["--tasks", "2", "--episodes", "3", "--video-size", "64", "64"]
    assert evaluate.main([run, *sizes, "--output", str(output), "--video", str(video)]) == 0
    table = capsys.readouterr().out
    assert "episodes  mean return" in table
    assert "gradient" not in table
    [result] = json.loads(output.read_text())["results"]
    assert (result["gradient_steps"], result["inner_lrs"]) == ([0, 1], [])
    assert result["env_steps_per_task"] == [0, 10]  # a trial's own, of three beside each other
    assert video.stat().st_size > 1000
    assert plot.with_step(read_evaluation(output))["step"] == "episode"
    figure = tmp_path / "figure.svg"
    assert plot.main([run, str(output), "--output", str(figure)]) == 0
    assert figure.stat().st_size > 1000


def test_a_policy_without_a_hidden_layer_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "flat.yaml").write_text("algorithm: rl2\nhidden_sizes: []\n")
    assert main(["--config", str(tmp_path / "flat.yaml"), "--run-dir", str(tmp_path / "run")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--hidden-sizes: got none, allowed with --algorithm rl2: one width or more" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("env", ["navigation-2d", "bandit"])
def test_a_run_on_cuda_follows_the_one_on_the_cpu(tmp_path, env) -> None:
    for device in ("cpu", "cuda"):
        train(tmp_path / device, "--iterations", "2", "--device", device, env=env)
    for cpu, cuda in zip(metrics(tmp_path / "cpu"), metrics(tmp_path / "cuda"), strict=True):
        for key in ("return/pre", "return/post", "loss", "kl"):
            assert cuda[key] == pytest.approx(cpu[key], rel=1e-2, abs=1e-4)
