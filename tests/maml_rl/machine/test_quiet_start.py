import signal
import sys

import pytest

from maml_rl.command import exit_status
from maml_rl.machine.quiet_start import quiet_start, start_is_over


@pytest.fixture(autouse=True)
def handled():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


COMMANDS = [
    (["python", "-m", "maml_rl.train", "--data", "sinusoid"], ["-m", "--data", "sinusoid"]),
    (["python", "-X", "utf8", "-m", "maml_rl.evaluate"], ["-m"]),
    (["/usr/bin/python", "/usr/local/bin/maml-rl", "train"], ["/usr/local/bin/maml-rl", "train"]),
]
OTHERS = [
    (["python", "-m", "pytest", "tests"], ["/site-packages/pytest/__main__.py", "tests"]),
    (["python", "-m", "mine", "-m", "maml_rl.train"], ["-m", "-m", "maml_rl.train"]),
    (["python", "study.py"], ["study.py"]),
    (["python", "study.py", "-m", "maml_rl.train"], ["study.py", "-m", "maml_rl.train"]),
    (["python", "-c", "import maml_rl"], ["-c"]),
    (["python"], [""]),
]


@pytest.mark.parametrize(
    ("orig_argv", "argv", "handler"),
    [(*each, signal.SIG_DFL) for each in COMMANDS] + [(*each, signal.default_int_handler) for each in OTHERS],
)
def test_a_command_s_start_is_just_ended_and_others_keep_their_handler(orig_argv, argv, handler, monkeypatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", orig_argv)
    monkeypatch.setattr(sys, "argv", argv)
    quiet_start()
    assert signal.getsignal(signal.SIGINT) is handler
    start_is_over()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so(monkeypatch) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nohup, and what a shell starts in the background
    monkeypatch.setattr(sys, "orig_argv", COMMANDS[0][0])
    monkeypatch.setattr(sys, "argv", COMMANDS[0][1])
    quiet_start()
    start_is_over()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_command_s_work_is_interrupted_with_a_status() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def work() -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    assert exit_status("maml_rl.evaluate", work) == 130
