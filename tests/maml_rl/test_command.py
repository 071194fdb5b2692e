import subprocess
import sys

import pytest

from maml_rl.command import exit_status
from maml_rl.envs.errors import FamilyError, WorkerError
from maml_rl.schema.errors import UsageError

SCRIPT = """
import sys
from maml_rl.command import exit_status
sys.exit(exit_status("command", lambda: print("a line") or 0))
"""


def raises(error: BaseException):
    def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("--x: got 1"), 2, "command: --x: got 1\n"),
        (FamilyError("two\nlines"), 2, "command: two\\nlines\n"),
        (WorkerError("a traceback"), 1, "command: a traceback\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_the_status_of_what_is_raised(capsys, error, status: int, line: str) -> None:
    assert exit_status("command", raises(error)) == status
    assert capsys.readouterr().err == line


def test_other_errors_pass() -> None:
    with pytest.raises(ArithmeticError):
        exit_status("command", raises(ArithmeticError()))


def test_a_reader_that_has_gone_is_no_failure_of_the_flush() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()  # type: ignore[union-attr]
    _, error = process.communicate(timeout=60)
    assert (error, process.returncode) == ("", 141)
