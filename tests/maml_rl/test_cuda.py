import warnings

import pytest
import torch

from maml_rl import evaluate
from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import KeyedGenerator
from maml_rl.options.config import RlConfig, configure
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.rl.samples import Samples
from tests.maml_rl.meta.test_meta_objective import objective_at
from tests.maml_rl.test_data_commands import ALGORITHMS as OF_DATA
from tests.maml_rl.test_data_commands import CASES, KINDS, OF_PICTURES, SMALL
from tests.maml_rl.test_train import TINY, main, metrics

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
SHORT = [*("--num-tasks", "3", "--episodes-per-task", "2", "--horizon", "10"), "--num-threads", "1"]


def on_cuda(samples: Samples) -> Samples:
    return Samples(*(getattr(samples, name).cuda() for name in ("inputs", "actions", "advantages", "weights")))


def test_the_meta_objective_is_the_same(five_parameters, draw_samples, theta) -> None:
    before, post = draw_samples(five_parameters, seed=1), draw_samples(five_parameters, seed=2)
    cpu = objective_at(five_parameters, theta, [before], post, 0.3)
    cuda = objective_at(five_parameters, theta.cuda(), [on_cuda(before)], on_cuda(post), 0.3)
    torch.testing.assert_close(cuda.gradient.cpu(), cpu.gradient)
    torch.testing.assert_close(cuda.fisher_vector_product(theta.cuda()).cpu(), cpu.fisher_vector_product(theta))
    assert cuda.evaluate(0.9 * theta.cuda()) == pytest.approx(cpu.evaluate(0.9 * theta))


@pytest.mark.parametrize(
    ("env", "physics"),
    [
        ("navigation-2d", "cpu"),
        ("halfcheetah-vel", "cpu"),
        ("halfcheetah-vel", "warp"),
        ("ant-dir", "warp"),
        ("hopper-rand-params", "warp"),
    ],
)
def test_a_run_on_cuda_follows_the_one_on_the_cpu(tmp_path, env, physics) -> None:
    for device in ("cpu", "cuda"):
        arguments = ["--env", env, *TINY, "--iterations", "2", "--run-dir", str(tmp_path / device), "--device", device]
        assert main([*arguments, "--physics", physics]) == 0
    for cpu, cuda in zip(metrics(tmp_path / "cpu"), metrics(tmp_path / "cuda"), strict=True):
        for key in ("return/pre", "return/post", "loss", "kl"):
            assert cuda[key] == pytest.approx(cpu[key], rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("algorithm", [name for name, entry in ALGORITHMS.items() if "env" in entry.sides])
def test_every_algorithm_of_policies_follows_on_cuda(tmp_path, algorithm) -> None:
    for device in ("cpu", "cuda"):
        flags = ["--env", "navigation-2d", "--algorithm", algorithm, *SHORT, "--iterations", "2", "--device", device]
        assert main([*flags, "--run-dir", str(tmp_path / device)]) == 0
    for cpu, cuda in zip(metrics(tmp_path / "cpu"), metrics(tmp_path / "cuda"), strict=True):
        assert cuda["return/pre"] == pytest.approx(cpu["return/pre"], rel=1e-2)
        # A loss is a difference of numbers about 1: an outer step magnifies what float32 rounds.
        for key in {"return/post", "loss"} & cpu.keys():
            assert cuda[key] == pytest.approx(cpu[key], rel=1e-2, abs=5e-3)


@pytest.mark.parametrize(("data", "algorithm"), CASES)
def test_every_algorithm_of_data_follows_on_cuda(tmp_path, data, algorithm) -> None:
    """And what it trained is evaluated and used on either."""
    for device in ("cpu", "cuda"):
        flags = [*KINDS[data], "--algorithm", algorithm, *(OF_DATA | OF_PICTURES)[algorithm], *SMALL]
        assert main([*flags, "--iterations", "2", "--device", device, "--run-dir", str(tmp_path / device)]) == 0
    for cpu, cuda in zip(metrics(tmp_path / "cpu"), metrics(tmp_path / "cuda"), strict=True):
        for key in {"loss/pre", "loss/post", "loss"} & cpu.keys():
            assert cuda[key] == pytest.approx(cpu[key], rel=1e-2, abs=1e-4)
    for device in ("cpu", "cuda"):
        assert evaluate.main([str(tmp_path / "cuda"), "--tasks", "4", "--device", device]) == 0


@pytest.mark.parametrize("name", ["halfcheetah-vel", "ant-vel", "hopper-rand-params"])
def test_nothing_in_a_rollout_on_warp_waits_for_the_device(name) -> None:
    """But the transfers of start states and noise at its beginning, and what `diverged` reads at its end."""
    values = {"env": name, "num_tasks": 3, "episodes_per_task": 4, "device": "cuda", "physics": "warp"}
    setting = make_rl_setting(configure(RlConfig(), values))
    family, [env] = setting.family, setting.simulations
    tasks, actions = family.sample_tasks(3, KeyedGenerator(0, 0)), torch.zeros(3, 4, family.action_size, device="cuda")
    for _ in range(2):  # the first compiles, the second records
        env.reset(tasks, KeyedGenerator(0, 1))
        env.step(actions)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, that the mode does not see all
            torch.cuda.set_sync_debug_mode("error")
        for _ in range(5):
            env.step(actions)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert not env.diverged().any()
