import itertools
import os
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

import maml_rl.envs.pictures.mujoco_renderer
from maml_rl import evaluate
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.options.config import RlConfig
from maml_rl.options.rl_wiring import make_rl_setting
from maml_rl.options.shipped import PRESETS
from maml_rl.reports.evaluation import adapt_and_roll_out
from maml_rl.reports.video import CAPTION, episodes_side_by_side, replay, write_video
from tests.maml_rl.test_train import train

SIZE = (96, 64)


DRAWS = Draws(Purpose.EVALUATION_EPISODES, 1)


def adapted(env: str, horizon: int, num_tasks: int = 2):
    """What `episodes_side_by_side` takes first: the family's name, the family, tasks, and their adaptation."""
    config = RlConfig(env=env, num_tasks=num_tasks, episodes_per_task=2, horizon=horizon, hidden_sizes=(8,))
    setting = make_rl_setting(config)
    tasks = setting.family.sample_tasks(num_tasks, keyed(Purpose.EVALUATION_TASKS, 1))
    adaptation = adapt_and_roll_out(setting.algorithm, setting.initial_state(), setting.problem(tasks, DRAWS), 1)

    return env, setting.family, tasks, adaptation


def decode(path) -> tuple[dict, list[np.ndarray]]:
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta, [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # imageio-ffmpeg's reader leaves its pipes to the collector
def test_a_two_frame_video_decoded_again(tmp_path) -> None:
    shown = adapted("navigation-2d", horizon=1)
    frames, fps = episodes_side_by_side(*shown, DRAWS, SIZE)
    write_video(tmp_path / "film.mp4", frames, fps)
    meta, pictures = decode(tmp_path / "film.mp4")
    assert meta["size"] == (2 * SIZE[0], 2 * (SIZE[1] + CAPTION))  # two policies beside, two tasks below each other
    assert meta["fps"] == 10  # the family's dt is 0.1 s
    assert len(pictures) == 2
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 50
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_a_gif_shows_real_time(tmp_path) -> None:
    shown = adapted("navigation-2d", horizon=5, num_tasks=1)
    frames, fps = episodes_side_by_side(*shown, DRAWS, SIZE)
    write_video(tmp_path / "film.gif", frames, fps)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.size == (2 * SIZE[0], SIZE[1] + CAPTION)
        assert film.n_frames == 6  # type: ignore[attr-defined]
        assert film.info["duration"] == 100  # ms


def test_a_long_caption_shows_the_return_as_it_grows() -> None:
    _, *shown = adapted("navigation-2d", horizon=5, num_tasks=1)
    frames, _ = episodes_side_by_side("a-family-with-a-name-that-no-line-of-this-width-holds", *shown, DRAWS, SIZE)
    captions = [picture[:CAPTION] for picture in frames]
    assert all((a != b).any() for a, b in itertools.pairwise(captions))


def test_fewer_frames_a_second_show_the_same_seconds() -> None:
    shown = adapted("navigation-2d", horizon=7, num_tasks=1)
    frames, fps = episodes_side_by_side(*shown, DRAWS, SIZE)
    fewer, slower = episodes_side_by_side(*shown, DRAWS, SIZE, max_fps=4)
    every, some = list(frames), list(fewer)
    assert (fps, slower) == (10, pytest.approx(10 / 3))
    assert [len(every), len(some)] == [8, 4]  # of moments 0, 3, 6, and the last
    assert all((a == b).all() for a, b in zip(some, [every[0], every[3], every[6], every[7]], strict=True))


@pytest.mark.parametrize("env", ["navigation-2d", "halfcheetah-vel"])
def test_the_states_drawn_are_those_that_were_rolled_out(env) -> None:
    _, family, tasks, adaptation = adapted(env, horizon=12, num_tasks=3)
    for k, trajectories in enumerate(adaptation.trajectories):
        # [2, E, H + 1, S]
        states = replay(family.simulate(2, 2), tasks[:2], trajectories.rows(slice(2)), DRAWS.phase(k))
        seen = trajectories.observations[:2]
        drawn = states[:, :, :-1] if env == "navigation-2d" else states[:, :, :-1, 1:]
        expected = seen[..., : drawn.shape[-1]]
        mask = trajectories.mask[:2]
        assert mask.sum() > 20
        torch.testing.assert_close(drawn.float()[mask], expected[mask], rtol=0, atol=0)


def test_half_cheetahs_are_drawn_by_mujoco() -> None:
    shown = adapted("halfcheetah-vel", horizon=30, num_tasks=1)
    try:
        frames, fps = episodes_side_by_side(*shown, DRAWS, SIZE)
    except RenderingError as error:
        pytest.skip(str(error))
    pictures = list(frames)
    assert fps == 50  # every second step of 0.01 s
    assert len(pictures) == 16
    assert pictures[0].shape == (SIZE[1] + CAPTION, 2 * SIZE[0], 3)
    body = [picture[CAPTION:] for picture in pictures]
    assert (body[0] != body[-1]).mean() > 0.01
    assert len(np.unique(body[0].reshape(-1, 3), axis=0)) > 50


def test_without_graphics_everything_but_the_video_is_written(tmp_path, monkeypatch, capsys) -> None:
    def nothing_works() -> str:
        raise RenderingError("no OpenGL backend: install libegl1")

    monkeypatch.setattr(maml_rl.envs.pictures.mujoco_renderer, "use_offscreen_gl", nothing_works)
    train(tmp_path / "run", "--iterations", "2", "--video-every", "1", env="halfcheetah-vel")
    assert capsys.readouterr().err.count("no videos: no OpenGL backend: install libegl1") == 1
    arguments = [str(tmp_path / "run"), "--tasks", "2", "--episodes", "2", "--gradient-steps", "1"]
    arguments += ["--output", str(tmp_path / "out.json"), "--video", str(tmp_path / "film.mp4")]
    assert evaluate.main(arguments) == 1
    assert "no video: no OpenGL backend: install libegl1" in capsys.readouterr().err
    assert (tmp_path / "out.json").exists()
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("value", ["nonsense", "osmesa", "egl"])
def test_no_value_of_mujoco_gl_ends_in_a_traceback(tmp_path, value: str) -> None:
    """A backend that is not there is no matter for those who want no pictures, and one line for those who do."""
    train(tmp_path / "run", "--iterations", "1", env="halfcheetah-vel")
    arguments = [str(tmp_path / "run"), "--tasks", "2", "--episodes", "2", "--gradient-steps", "0"]
    command = [sys.executable, "-m", "maml_rl.evaluate", *arguments, "--video", str(tmp_path / "film.gif")]
    environment = os.environ | {"MUJOCO_GL": value}
    environment.pop("DISPLAY", None)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=PRESETS.parent)
    assert "mean return" in result.stdout
    made = (tmp_path / "film.gif").exists()
    assert (result.returncode, len(result.stderr.splitlines())) == ((0, 0) if made else (1, 1)), result.stderr
    assert made or ("no video: " in result.stderr and ("MUJOCO_GL" in result.stderr))


def test_a_failed_video_leaves_what_was_there(tmp_path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"an older film")

    def frames():
        yield np.zeros((64, 64, 3), np.uint8)
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        write_video(path, frames(), 10)
    assert path.read_bytes() == b"an older film"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.figures
def test_a_run_films_itself(tmp_path) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "3", "--video-every", "2")
    assert [path.name for path in (run / "videos").iterdir()] == ["iteration-000002.mp4"]
    from tensorboard.backend.event_processing.event_accumulator import IMAGES, EventAccumulator

    events = EventAccumulator(str(run), size_guidance={IMAGES: 0}).Reload()
    [film] = events.Images("episodes")
    assert film.encoded_image_string.startswith(b"GIF89a")
    for figure in ("learning curves", "gradient steps on validation tasks"):
        assert [event.step for event in events.Images(figure)] == [2]
