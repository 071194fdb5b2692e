from math import pi

import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.supervised.sinusoid import Sinusoid, wave


def test_points_are_on_the_waves_of_the_paper() -> None:
    data = Sinusoid()
    tasks = data.sample_tasks("train", 1000, KeyedGenerator(1))
    support, query = data.examples(tasks, 10, 20, KeyedGenerator(2))
    amplitude, phase = tasks.T
    assert 0.1 <= amplitude.min() < 0.2
    assert 4.9 < amplitude.max() <= 5
    assert 0 <= phase.min() < 0.05
    assert pi - 0.05 < phase.max() <= pi
    for part, num_examples in ((support, 10), (query, 20)):
        assert part.inputs.shape == part.targets.shape == (1000, num_examples, 1)
        assert part.inputs.dtype == part.targets.dtype == torch.float32
        assert -5 <= part.inputs.min() < -4.9
        assert 4.9 < part.inputs.max() <= 5
        expected = amplitude[:, None, None] * torch.sin(part.inputs.double() - phase[:, None, None])
        torch.testing.assert_close(part.targets.double(), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(part.weights.sum(dim=1), torch.ones(1000))
    assert not set(support.inputs[0].flatten().tolist()) & set(query.inputs[0].flatten().tolist())


def test_a_zero_predictor_has_the_mean_squared_error_of_the_waves() -> None:
    """4.25 by the tasks' moments: E[A^2] = 8.50, and half of it is the mean of sin^2, about."""
    data = Sinusoid()
    tasks = data.sample_tasks("test", 2000, KeyedGenerator(1))
    x = torch.linspace(-5, 5, 201, dtype=torch.float64)[None, :, None].expand(2000, -1, 1)
    assert abs(wave(tasks, x).square().mean() - 4.25) < 0.3


def test_a_task_depends_on_its_row_only() -> None:
    data = Sinusoid()
    tasks = data.sample_tasks("train", 5, KeyedGenerator(1))
    torch.testing.assert_close(
        data.sample_tasks("train", 2, KeyedGenerator(1, first_task=3)), tasks[3:], rtol=0, atol=0
    )
    whole, _ = data.examples(tasks, 5, 5, KeyedGenerator(2))
    part, _ = data.examples(tasks[3:], 5, 5, KeyedGenerator(2, first_task=3))
    torch.testing.assert_close(part.inputs, whole.inputs[3:], rtol=0, atol=0)


def test_a_task_in_words() -> None:
    assert Sinusoid().describe(torch.tensor([1.234, 0.5])) == "1.23 sin(x - 0.50)"
