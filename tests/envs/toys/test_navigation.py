import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.envs.toys.navigation import Navigation2D
from tests.envs.played import played


def test_an_episode_by_hand() -> None:
    env = played(Navigation2D(), 1, 2)
    start = env.reset(torch.tensor([[0.1, -0.05]]), KeyedGenerator(0))
    assert (start == 0).all()
    # Outputs are in units of 0.1 m, and clipped: (7, 0) moves by 0.1 m along x, (0, -0.5) by -0.05 m along y.
    position, reward, terminated = env.step(torch.tensor([[[7.0, 0.0], [0.0, -0.5]]], dtype=torch.float64))
    torch.testing.assert_close(position, torch.tensor([[[0.1, 0.0], [0.0, -0.05]]], dtype=torch.float64))
    torch.testing.assert_close(reward, torch.tensor([[-0.05, -0.1]], dtype=torch.float64))
    assert not terminated.any()
    position, reward, terminated = env.step(torch.tensor([[[0.0, -0.45], [0.89, 0.0]]], dtype=torch.float64))
    assert terminated.tolist() == [[True, False]]  # 5 mm from the goal on y, and 11 mm on x


def test_goals_fill_the_square() -> None:
    goals = Navigation2D().sample_tasks(2000, KeyedGenerator(3))
    assert goals.shape == (2000, 2)
    assert goals.min() < -0.49
    assert goals.max() > 0.49
    assert goals.abs().max() <= 0.5
    assert goals.mean(dim=0).abs().max() < 0.03
