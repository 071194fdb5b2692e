"""The scripts that complete a command line, as bash and zsh run them."""

import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from maml_rl import envs
from maml_rl.__main__ import COMMANDS, completion
from maml_rl.algorithms.catalogue import ALGORITHMS

bash = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "maml-rl.bash"
    path.write_text(completion("bash"))
    return path


def completed(script: Path, *words: str, folder: Path | None = None) -> list[str]:
    """What bash offers for the last of the words behind `maml-rl`."""
    loaded = 'source "$0"; complete -p maml-rl >/dev/null || exit 3; COMP_WORDS=(maml-rl "$@"); COMP_CWORD=$#'
    asked = f'{loaded}; _maml_rl maml-rl; printf "%s\\n" "${{COMPREPLY[@]}}"'
    command = ["bash", "--norc", "-c", asked, str(script), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder or script.parent)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@bash
def test_commands_are_completed(script) -> None:
    assert completed(script, "") == [*COMMANDS, "--help", "--version", "--print-completion"]
    assert completed(script, "ev") == ["evaluate"]
    assert completed(script, "--print-completion", "") == ["bash", "zsh"]
    assert completed(script, "--version", "x") == []


@bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["train", "--env", "half"], ["halfcheetah-dir", "halfcheetah-vel"]),
        (["train", "--env", "=", "half"], ["halfcheetah-dir", "halfcheetah-vel"]),
        (["train", "--env", "="], list(envs.ENVS)),
        (["train", "--seed", "1", "--env", "nav"], ["navigation-2d"]),
        (["train", "--algorithm", ""], list(ALGORITHMS)),
        (["train", "--preset", ""], ["maml-paper", "promp"]),
        (["train", "--seed", ""], []),
        (["train", "--keep-b"], ["--keep-best"]),
        (["train", "--no-keep-b"], ["--no-keep-best"]),
        (["train", "--kl-p"], ["--kl-penalty"]),  # of promp alone
        (["train", "--li"], ["--list-envs", "--list-data", "--list-algorithms"]),
        (["evaluate", "halfcheetah-dir", "--video-"], ["--video-tasks", "--video-size", "--video-fps"]),
        (["evaluate", "halfch"], ["halfcheetah-dir", "halfcheetah-vel"]),
        (["evaluate", "navigation-2d", "ant-d"], ["ant-dir"]),
        (["evaluate", "--split", ""], ["train", "val", "test"]),
        (["evaluate", "--random", "ant-d"], ["ant-dir"]),  # an option without a value
        (["report", "halfch"], ["halfcheetah-dir", "halfcheetah-vel"]),
        (["compare", "--algorithms", "pro"], ["promp", "prototypical"]),
        (["compare", "--algorithms", "maml", "fomaml", "pro"], ["promp", "prototypical"]),
        (["compare", "--algorithms", "maml", "--see"], ["--seeds"]),
        (["compare", "--algorithm"], ["--algorithms"]),
        (["compare", "--num-thr"], []),
        (["plot", "--o"], ["--output"]),
        (["plot", "--env"], []),
    ],
)
def test_options_and_their_values_are_completed(script, words, offered) -> None:
    assert completed(script, *words) == offered


@bash
def test_files_are_completed(script, tmp_path) -> None:
    (tmp_path / "my run").mkdir()
    (tmp_path / "my.yaml").touch()
    (tmp_path / "maml-paper.json").touch()
    for words in (
        ["plot", "my"],
        ["train", "--config", "my"],
        ["evaluate", "--output", "my"],
        ["train", "--data", "my"],
    ):
        assert sorted(completed(script, *words, folder=tmp_path)) == ["my run", "my.yaml"]
    assert completed(script, "evaluate", "--fixed-tasks", "maml", folder=tmp_path) == ["maml-paper", "maml-paper.json"]


def typed(line: str, folder: Path) -> str:
    """What stands on the line of an interactive zsh after the line and Tab."""
    import pty  # Windows has none

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("zsh", ["zsh", "-i"], os.environ | {"ZDOTDIR": str(folder), "TERM": "dumb"})

    def read_until(wanted: str, seconds: float) -> str:
        shown, end = "", time.monotonic() + seconds
        while wanted not in shown and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
        return shown

    try:
        assert "ready" in read_until("ready", 30)
        os.write(terminal, f"{line}\t".encode())
        return read_until("never", 3).replace("\a", "")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("maml-rl ev", ["maml-rl evaluate"]),
        ("maml-rl train --env half", ["maml-rl train --env halfcheetah-"]),
        ("maml-rl train --env=nav", ["--env=navigation-2d"]),
        ("maml-rl evaluate ant-", ["ant-dir", "ant-vel"]),
        ("maml-rl plot my", ["maml-rl plot my_file"]),
    ],
)
def test_zsh_completes_too(tmp_path, line: str, offered: list[str]) -> None:
    (tmp_path / "my_file").touch()
    (tmp_path / "maml-rl.zsh").write_text(completion("zsh"))
    (tmp_path / ".zshrc").write_text("autoload -Uz compinit; compinit -D -u; source maml-rl.zsh; PS1='rea''dy '\n")
    shown = typed(line, tmp_path)
    assert all(each in shown for each in offered), repr(shown)


def test_every_option_and_every_command_is_in_both_scripts(script) -> None:
    for text in (script.read_text(), completion("zsh")):
        assert all(f"{name}" in text for name in ("--inner-lr", "--video-size", "--resume", "--no-transductive"))
        assert "algorithm-options" not in text
        assert all(name in text for name in COMMANDS)
