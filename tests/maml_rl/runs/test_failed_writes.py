"""A file that cannot be written ends a run in one line and status 1; one that is for looking at does not end it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maml_rl.reports import figures
from maml_rl.runs import loop, record
from maml_rl.train import main
from tests.maml_rl.test_train import TINY, metrics, train

resource = pytest.importorskip("resource", reason="Windows has none")

LIMITED = """
import resource, sys
from maml_rl.train import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


def limited(size: int, *arguments: str) -> list[str]:
    """Run the command, which can write no file beyond `size` bytes; the lines that say why it failed."""
    command = [sys.executable, "-c", LIMITED, str(size), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    return [line for line in done.stderr.splitlines() if not line.startswith(("writing", "the first", "navigation"))]


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")


def temporary_files(folder: Path) -> list[Path]:
    return list(folder.rglob(".*"))


@pytest.mark.parametrize("stride", [1, 50])
def test_a_run_whose_metrics_cannot_be_written_goes_on_from_its_last_checkpoint(tmp_path, stride) -> None:
    run = tmp_path / "run"
    every = ["--iterations", "100", "--checkpoint-every", str(stride)]
    [line] = limited(12000, *TINY, *every, "--run-dir", str(run))
    last = sorted((run / "checkpoints").iterdir())[-1]
    assert "File too large" in line
    assert f"kept {last}; go on with: python -m maml_rl.train --resume {run}" in line
    assert not temporary_files(tmp_path)
    done = int(last.stem.removeprefix("iteration-"))
    assert done > 2
    assert main(["--resume", str(run), "--iterations", str(done + 1)]) == 0
    assert [row["iteration"] for row in metrics(run)] == list(range(done + 1))


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, capsys, monkeypatch) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "1")
    capsys.readouterr()
    monkeypatch.setattr(record, "save_checkpoint", full_disk)
    assert main(["--resume", str(run), "--iterations", "3"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device; kept" in line
    assert "iteration-000001.safetensors; go on with" in line
    monkeypatch.undo()
    assert main(["--resume", str(run), "--iterations", "3"]) == 0


def test_a_run_whose_folder_has_gone_says_so(tmp_path, capsys, monkeypatch) -> None:
    real = loop.iterate

    def iterate(setting, checkpoint, announce):
        if checkpoint.iteration == 2:
            (tmp_path / "run").rename(tmp_path / "elsewhere")
        return real(setting, checkpoint, announce)

    monkeypatch.setattr(loop, "iterate", iterate)
    assert main([*TINY, "--iterations", "9", "--run-dir", str(tmp_path / "run")]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"maml_rl.train: {tmp_path / 'run'}")
    assert "No such file or directory; its checkpoints are gone" in line
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_what_stands_where_a_video_should_go_does_not_end_the_run(tmp_path, capsys) -> None:
    for name, blocked in (("a", "videos"), ("b", "videos/iteration-000001.mp4/folder")):
        train(tmp_path / name, "--iterations", "0")
        (tmp_path / name / blocked).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / blocked).write_text("mine")
        assert main(["--resume", str(tmp_path / name), "--iterations", "2", "--video-every", "1"]) == 0
        assert capsys.readouterr().err.count("iteration 1: no video: ") == 1
        assert (tmp_path / name / blocked).read_text() == "mine"
        assert not temporary_files(tmp_path)


def test_a_damaged_best_policy_is_moved_aside(tmp_path, capsys) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "1", "--keep-best")
    best = run / "checkpoints" / "best.safetensors"
    for iterations, aside in (("2", f"{best}.damaged"), ("3", f"{best}.damaged-2")):
        best.write_text(aside)
        assert main(["--resume", str(run), "--iterations", iterations]) == 0
        assert f"; moved it to {aside}\n" in capsys.readouterr().err
        assert Path(aside).read_text() == aside
        assert best.stat().st_size > 500


@pytest.mark.figures
def test_figures_that_cannot_be_drawn_do_not_end_the_run(tmp_path, capsys, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("no ink")

    monkeypatch.setattr(figures, "figure", fail)
    train(tmp_path / "run", "--iterations", "1")
    assert capsys.readouterr().err.splitlines()[-1] == "no figures: no ink"
