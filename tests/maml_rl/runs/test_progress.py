import os
import struct
import subprocess
import sys

import pytest

fcntl, pty, termios = (pytest.importorskip(name, reason="Windows has none") for name in ("fcntl", "pty", "termios"))

SCRIPT = """
from maml_rl.runs.progress import ProgressDisplay
row = {"iteration": 41, "return/pre": -223.04, "return/post": -213.01, "time/iteration": 10.0,
       "episodes/diverged": 3, "line_search/accepted": False}
with ProgressDisplay("halfcheetah-vel", 500, 40) as progress:
    progress.phase("outer")
    progress.update(42, row, 320000)
"""


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_shows_a_bar_with_everything_legible(width: int) -> None:
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = os.environ | {"TERM": "xterm"}
    environment = {key: value for key, value in environment.items() if key not in ("COLUMNS", "LINES")}
    subprocess.run([sys.executable, "-c", SCRIPT], stderr=terminal, check=True, timeout=60, env=environment)
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(main, 65536):
            shown += part
    except OSError:  # the terminal has closed
        pass
    text = shown.decode()
    for part in ("halfcheetah-vel", "━", "42/500", "eta", "return -223.0 -> -213.0", "32,000 steps/s"):
        assert part in text
    assert "…" not in text
    assert "3 episodes diverged" in text
    assert "the line search found no step" in text


def test_elsewhere_there_are_plain_lines_and_a_closed_pipe_does_no_harm() -> None:
    environment = os.environ | {"FORCE_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    lines = done.stderr.splitlines()
    assert lines[0].startswith("halfcheetah-vel 42/500  return -223.0 -> -213.0  32,000 steps/s")
    assert "eta" in lines[0]
    assert "\x1b" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    subprocess.run([sys.executable, "-c", SCRIPT], stderr=writer, check=True, timeout=60)
    os.close(writer)
    subprocess.run(["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, SCRIPT], check=True, timeout=60)
