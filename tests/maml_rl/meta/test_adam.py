import torch

from maml_rl.meta.adam import adam_start, adam_step


def test_it_is_torch_s() -> None:
    generator = torch.Generator().manual_seed(0)
    point = torch.randn(6, generator=generator, dtype=torch.float64)
    theirs = point.clone().requires_grad_()
    optimiser = torch.optim.Adam([theirs], lr=0.03)
    moments = adam_start(point)
    for scale in (1.0, 1e-9, 100.0, 0.0, 3.0):
        gradient = scale * torch.randn(6, generator=generator, dtype=torch.float64)
        theirs.grad = gradient
        optimiser.step()
        kept = {name: part.clone() for name, part in moments.items()}
        before = moments
        point, moments = adam_step(point, gradient, moments, 0.03)
        torch.testing.assert_close(point, theirs.detach(), rtol=1e-12, atol=1e-14)
        assert all(torch.equal(before[name], kept[name]) for name in kept)  # nothing changes in place
    state = optimiser.state[theirs]
    torch.testing.assert_close(moments["adam.m"], state["exp_avg"], rtol=1e-12, atol=0)
    torch.testing.assert_close(moments["adam.v"], state["exp_avg_sq"], rtol=1e-12, atol=0)
    assert moments["adam.t"] == 5
