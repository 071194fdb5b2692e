"""Videos of a user's environments: the episodes that were evaluated, and one line if there can be none."""

import numpy as np
import pytest
import torch
from PIL import Image

from maml_rl import evaluate
from maml_rl.envs import KeyedGenerator, make_family
from maml_rl.envs.pictures.offscreen import RenderingError, use_offscreen_gl
from maml_rl.reports.video import CAPTION, episodes_side_by_side
from maml_rl.train import main
from tests.envs.tasks_for_tests import NAME
from tests.maml_rl.reports.test_video import DRAWS, SIZE, adapted
from tests.maml_rl.test_train import TINY, metrics

EVALUATION = ["--tasks", "2", "--episodes", "2", "--gradient-steps", "1", "--num-threads", "1"]


def colour(observation: torch.Tensor) -> list[int]:
    """Of `Painted`, of an observation [6]."""
    step, task, _, _, chance, _ = observation.double().tolist()
    return [round(20 * step), int(200 * task), int(50 * abs(chance)) % 256]


def test_the_frames_are_those_of_the_episodes_that_were_played() -> None:
    shown = adapted(f"{NAME}:Painted", horizon=10, num_tasks=2)
    *_, adaptation = shown
    frames, fps = episodes_side_by_side(*shown, DRAWS, SIZE)
    pictures = list(frames)
    assert fps == 10
    width, height = SIZE
    seen = 0
    for k, played in enumerate(adaptation.trajectories):
        for v in range(2):
            lived = int(played.first[v, 0].sum())
            for t in range(lived):
                top, left = v * (height + CAPTION) + CAPTION, k * width
                part = pictures[t][top : top + height, left : left + width]
                wanted = colour(played.observations[v, 0, t])
                assert np.abs(part[height // 2, width // 2].astype(int) - wanted).max() <= 1  # float32's last digit
                assert (part[0, 0] == 0).all()  # beside it: the picture is narrower than the video's
                seen += 1
            last = pictures[-1][v * (height + CAPTION) + CAPTION + height // 2, k * width + width // 2]
            assert last[0] == 20 * lived  # after its end an episode stays as it ended
    assert seen > 12
    assert len(pictures) > 4


@pytest.mark.parametrize("algorithm", ["maml", "rl2"])
def test_evaluate_and_train_film(tmp_path, capsys, algorithm: str) -> None:
    env, run, film = f"{NAME}:Painted", tmp_path / "run", tmp_path / "film.gif"
    options = [*TINY[: TINY.index("--cg-iterations")], "--num-threads", "1", "--device", "cpu"]
    options += ["--algorithm", algorithm, "--iterations", "2", "--video-every", "1"]
    assert main(["--env", env, *options, "--run-dir", str(run)]) == 0
    assert "no video" not in capsys.readouterr().err
    assert len(list((run / "videos").iterdir())) == 2
    assert evaluate.main([str(run), "--env", env, *EVALUATION, "--video", str(film)]) == 0
    with Image.open(film) as drawn:
        assert drawn.n_frames > 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Tasks", "its environments draw no pictures, allowed: those with 'rgb_array' in the render_modes"),
        ("Unpainted", "render gave a NoneType, allowed: [height, width, 3] of uint8"),
        ("Smudged", "an exception in render (ImportError: no brush: pip install brush)"),
        ("Restless", "lead to other rewards if they are played again"),
    ],
)
def test_without_pictures_there_is_one_line_and_all_else(tmp_path, capsys, name: str, reason: str) -> None:
    env, run, output = f"{NAME}:{name}", tmp_path / "run", tmp_path / "out.json"
    assert main(["--env", env, *TINY, "--iterations", "2", "--video-every", "1", "--run-dir", str(run)]) == 0
    assert capsys.readouterr().err.count(reason) == 1
    assert len(metrics(run)) == 2
    film = tmp_path / "film.gif"
    arguments = [str(run), "--env", env, *EVALUATION, "--output", str(output), "--video", str(film)]
    assert evaluate.main(arguments) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("maml_rl.evaluate: no video: ")
    assert reason in line
    assert output.exists()
    assert not film.exists()


def test_an_episode_that_takes_another_course_is_not_shown() -> None:
    _, family, tasks, _ = adapted(f"{NAME}:Painted", horizon=10, num_tasks=1)
    simulation = family.simulate(1, 1, num_threads=1)
    simulation.reset(tasks, DRAWS.phase())
    states = [simulation.snapshot()[0, 0]]
    simulation.step(torch.zeros(1, 1, 2))
    states.append(simulation.snapshot()[0, 0])
    states[1][-6] += 1
    renderer = family.make_renderer(tasks[0], 64, 64)
    first = renderer.draw(torch.stack(states[:1]), torch.empty(0))
    with pytest.raises(RenderingError, match="takes another course"):
        renderer.draw(torch.stack(states), torch.empty(0))
    again = renderer.draw(torch.stack(states[:1]), torch.empty(0))
    assert (first == again).all()  # it begins anew to go back
    renderer.close()


def test_gymnasium_s_mujoco_environments_are_drawn_without_a_display(monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    try:
        use_offscreen_gl()
    except RenderingError as error:
        pytest.skip(str(error))
    family = make_family(f"{NAME}:Pendulums")
    tasks = family.sample_tasks(1, KeyedGenerator(0))
    simulation = family.simulate(1, 1, num_threads=1)
    simulation.reset(tasks, DRAWS.phase())
    renderer = family.make_renderer(tasks[0], 64, 64)
    picture = renderer.draw(simulation.snapshot()[0], torch.empty(0))
    renderer.close()
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
