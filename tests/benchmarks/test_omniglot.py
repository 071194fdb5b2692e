"""What is compared computes the same, and what does not is found."""

import json

import pytest
import torch

from benchmarks import omniglot
from benchmarks.omniglot import Options, configuration, disagreement, main
from maml_rl.options.data_wiring import make_data_setting

TINY = Options(ways=3, num_tasks=2, filters=4)


@pytest.mark.parametrize("steps", [1, 2])
def test_all_compute_the_same(steps: int) -> None:
    options = Options(ways=3, shots=2, num_tasks=2, filters=4, inner_steps=steps)
    assert disagreement(make_data_setting(configuration(options))) < 1e-11


def test_another_computation_is_found(monkeypatch) -> None:
    monkeypatch.setattr(omniglot, "EPSILON", 1e-5)
    assert disagreement(make_data_setting(configuration(TINY))) > 1e-4


class Copies(torch.nn.Module):
    """learn2learn's MAML as far as it is used: its copies take differentiable steps."""

    def __init__(self, modules: torch.nn.Module, lr: float, first_order: bool, at=None) -> None:
        super().__init__()
        assert not first_order
        self.network, self.lr, self.at = modules, lr, at or dict[str, torch.Tensor](modules.named_parameters())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(self.network, self.at, (inputs,))

    def clone(self) -> "Copies":
        return Copies(self.network, self.lr, False, dict(self.at))

    def adapt(self, loss: torch.Tensor) -> None:
        gradients = torch.autograd.grad(loss, list(self.at.values()), create_graph=True)
        self.at = {name: part - self.lr * each for (name, part), each in zip(self.at.items(), gradients, strict=True)}


def test_learn2learn_is_timed_if_it_is_installed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(omniglot, "learn2learn_maml", lambda: Copies)
    assert main(["--ways", "3", "--num-tasks", "2", "--filters", "4", "--repeats", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["iterations_per_second"]) == ["ours", "loop", "vmap", "learn2learn"]
    assert list(result["cpu_seconds"]) == ["ours", "loop", "vmap", "learn2learn"]
    assert list(result["ours_over"]) == list(result["ours_over_by_cpu"]) == ["loop", "vmap", "learn2learn"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--repeats", "0"], ["--repeats", "0", ">= 1"]),
        (["--ways", "1"], ["--ways", "1"]),
        (["--shots", "11"], ["--shots", "20 in all"]),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, parts) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert all(part in line for part in parts), line
