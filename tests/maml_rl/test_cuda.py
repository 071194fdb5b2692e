import pytest
import torch

from maml_rl.maml import meta_objective
from maml_rl.samples import Samples
from tests.maml_rl.test_train import TINY, main, metrics

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def on_cuda(samples: Samples) -> Samples:
    return Samples(*(getattr(samples, name).cuda() for name in ("observations", "actions", "advantages", "weights")))


def test_the_meta_objective_is_the_same(five_parameters, draw_samples, theta) -> None:
    before, post = draw_samples(five_parameters, seed=1), draw_samples(five_parameters, seed=2)
    cpu = meta_objective(five_parameters, theta, [before], post, 0.3)
    cuda = meta_objective(five_parameters, theta.cuda(), [on_cuda(before)], on_cuda(post), 0.3)
    torch.testing.assert_close(cuda.gradient.cpu(), cpu.gradient)
    torch.testing.assert_close(cuda.fisher_vector_product(theta.cuda()).cpu(), cpu.fisher_vector_product(theta))
    assert cuda.evaluate(0.9 * theta.cuda()) == pytest.approx(cpu.evaluate(0.9 * theta))


@pytest.mark.parametrize("env", ["navigation-2d", "halfcheetah-vel"])
def test_a_run_on_cuda_follows_the_one_on_the_cpu(tmp_path, env) -> None:
    for device in ("cpu", "cuda"):
        arguments = ["--env", env, *TINY, "--iterations", "2", "--run-dir", str(tmp_path / device), "--device", device]
        assert main(arguments) == 0
    for cpu, cuda in zip(metrics(tmp_path / "cpu"), metrics(tmp_path / "cuda"), strict=True):
        for key in ("return/pre", "return/post", "loss", "kl"):
            assert cuda[key] == pytest.approx(cpu[key], rel=1e-2, abs=1e-4)
