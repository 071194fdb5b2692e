import pytest
import torch

from maml_rl.envs import KeyedGenerator


def test_a_task_draws_the_same_whatever_tasks_stand_beside_it() -> None:
    together = KeyedGenerator(1, 2, 3)
    shifted = KeyedGenerator(1, 2, 3, first_task=2)
    first, second = together.normal(5, 4), together.uniform(5, 2)
    assert torch.equal(shifted.normal(3, 4), first[2:])
    assert torch.equal(shifted.uniform(3, 2), second[2:])
    assert torch.equal(together.from_task(2).normal(3, 4), first[2:])
    assert torch.equal(together.from_task(1).from_task(1).normal(3, 4), first[2:])


def test_every_part_of_the_key_and_every_task_matters() -> None:
    draws = [KeyedGenerator(*key).normal(3, 8) for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    rows = torch.cat(draws)
    assert len(rows.unique(dim=0)) == 12
    assert torch.equal(draws[1], KeyedGenerator(1, 0, 0).normal(3, 8))


def test_distributions() -> None:
    generator = KeyedGenerator(7)
    normal = generator.normal(4, 50_000, dtype=torch.float32)
    assert normal.dtype == torch.float32
    assert normal.mean().abs() < 0.01
    assert (normal.std() - 1).abs() < 0.01
    uniform = generator.uniform(4, 50_000, low=-2.0, high=4.0)
    assert uniform.dtype == torch.float64
    assert uniform.min() >= -2
    assert uniform.max() < 4
    assert (uniform.mean() - 1).abs() < 0.02


def test_a_negative_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="from 0 to 4294967295"):
        KeyedGenerator(-1)
