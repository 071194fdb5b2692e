"""A run that begins with the parameters of another one."""

import re
import shutil
from pathlib import Path

import pytest
import torch

import maml_rl
from maml_rl import evaluate, train
from maml_rl.models.parameters import unflatten
from tests.maml_rl.test_train import assert_same_tensors, checkpoint_bytes

SMALL = ["--num-tasks", "2", "--num-threads", "1", "--device", "cpu"]
NAVIGATION = ["--env", "navigation-2d", *SMALL, "--episodes-per-task", "2", "--horizon", "5", "--hidden-sizes", "8"]
SINUSOID = ["--data", "sinusoid", *SMALL]
PICTURES = ["--data", "omniglot", "--filters", "4", *SMALL]


def run(folder: Path, *flags: str, iterations: int = 2) -> Path:
    assert train.main([*flags, "--iterations", str(iterations), "--run-dir", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("flags", [NAVIGATION, SINUSOID])
def test_a_run_begins_where_another_ended(tmp_path, capsys, flags) -> None:
    one = run(tmp_path / "one", *flags, "--algorithm", "meta_sgd", "--outer-step", "adam")
    end = checkpoint_bytes(one, 2)
    assert end["adam.t"] == 2
    capsys.readouterr()
    last = one / "checkpoints" / "iteration-000002.safetensors"
    two = run(tmp_path / "two", *flags, "--algorithm", "meta_sgd", "--outer-step", "adam", "--init-from", str(last))
    assert re.search(
        rf"beginning with (\d+) of \1 parameters from {last}, after 2 iterations\n", capsys.readouterr().err
    )
    first = checkpoint_bytes(two, 0)
    assert_same_tensors({name: first[name] for name in ("theta", "alpha")}, {n: end[n] for n in ("theta", "alpha")})
    assert not any(first[name].any() for name in ("adam.m", "adam.v", "adam.t"))

    # Another algorithm takes what it shares; a run directory stands for its last checkpoint.
    three = run(tmp_path / "three", *flags, "--init-from", str(one), iterations=0)
    assert torch.equal(checkpoint_bytes(three, 0)["theta"], end["theta"])

    # Nothing of the other run is needed any more, nor is the option forgotten by a run that was killed at once.
    last.rename(tmp_path / "elsewhere")
    assert train.main(["--resume", str(two), "--iterations", "3"]) == 0
    assert evaluate.main([str(two), "--tasks", "2"]) == 0
    (tmp_path / "elsewhere").rename(last)
    shutil.rmtree(two / "checkpoints")
    (two / "checkpoints").mkdir()
    (two / "metrics.jsonl").unlink()
    assert train.main(["--resume", str(two), "--iterations", "0"]) == 0
    assert_same_tensors(checkpoint_bytes(two, 0), first)


def test_parameters_of_other_shapes_are_drawn(tmp_path, capsys) -> None:
    one = run(tmp_path / "one", *PICTURES, "--ways", "3")
    capsys.readouterr()
    two = run(tmp_path / "two", *PICTURES, "--ways", "4", "--init-from", str(one), iterations=0)
    assert "after 2 iterations; drawn: output.weight, output.bias\n" in capsys.readouterr().err
    drawn = run(tmp_path / "drawn", *PICTURES, "--ways", "4", iterations=0)
    states = {
        each: unflatten(maml_rl.load(each).model.parameter_shapes, maml_rl.load(each).theta[None])
        for each in (one, two, drawn)
    }
    for name, part in states[two].items():
        assert torch.equal(part, states[drawn if name.startswith("output") else one][name]), name
    assert not all(torch.equal(part, states[drawn][name]) for name, part in states[two].items())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("sinusoidd", "--init-from: got 'sinusoidd', which does not exist, allowed: a run directory"),
        (
            "navigation-2d",
            "--init-from: got 'navigation-2d' (--env navigation-2d --algorithm maml), whose weights have",
        ),
        ("omniglot", "--init-from: got 'omniglot' (--data omniglot --algorithm maml), whose weights have other"),
        ("", "--init-from: got '', which does not exist"),
        (__file__, "--init-from: checkpoint "),
    ],
)
def test_what_is_no_such_model_is_refused(tmp_path, capsys, given, said) -> None:
    flags = [*SINUSOID, "--iterations", "1", "--run-dir", str(tmp_path / "run"), "--init-from", given]
    assert train.main(flags) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_biases_alone_are_no_beginning(tmp_path, capsys) -> None:
    """The output's biases have as many ways, whatever the filters are."""
    flags = [*PICTURES, "--iterations", "1", "--run-dir", str(tmp_path / "run"), "--init-from", "omniglot"]
    assert train.main(flags) == 2
    assert "whose weights have other names or shapes" in capsys.readouterr().err


def test_weights_for_other_observations_are_refused(tmp_path, capsys) -> None:
    one = run(tmp_path / "one", *NAVIGATION, "--observation-std", "2", "0.5")
    run(tmp_path / "two", *NAVIGATION, "--observation-std", "2", "0.5", "--init-from", str(one))
    capsys.readouterr()
    assert train.main([*NAVIGATION, "--run-dir", str(tmp_path / "three"), "--init-from", str(one)]) == 2
    error = capsys.readouterr().err
    assert f"--init-from: got '{one}', trained with another --observation-std than this run's, allowed:" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "three").exists()


def test_a_resumed_run_has_begun(tmp_path, capsys) -> None:
    one = run(tmp_path / "one", *SINUSOID)
    capsys.readouterr()
    assert train.main(["--resume", str(one), "--init-from", "sinusoid"]) == 2
    assert "--init-from: got 'sinusoid' with --resume, allowed: None, as the run began" in capsys.readouterr().err
