"""`maml-rl`, which is `python -m maml_rl` too: all commands in one."""

import importlib
import os
import subprocess
import sys

import pytest

from maml_rl import command
from maml_rl.__main__ import BAD_INPUT, COMMANDS, READER_GONE, main, usage
from tests.test_docs import ROOT


def maml_rl(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-m", "maml_rl", *arguments]
    return subprocess.run(given, capture_output=True, text=True, cwd=ROOT, check=False, **options)


def test_every_command_is_a_module_that_says_its_options() -> None:
    for name, each in COMMANDS.items():
        assert callable(importlib.import_module(f"maml_rl.{name}").main)
        module, _, attribute = each.options.partition(":")
        assert getattr(importlib.import_module(module), attribute)
        assert f"  {name} " in usage()


def test_the_statuses_are_those_of_all_commands() -> None:
    assert (BAD_INPUT, READER_GONE) == (command.BAD_INPUT, command.READER_GONE)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "got no command, allowed: train, evaluate, plot"),
        (["trian"], "got 'trian', allowed: train, evaluate, plot"),
        (["--env", "x"], "got '--env', allowed: train, evaluate, plot"),
        (["--print-completion"], "--print-completion: got no value, allowed: bash, zsh"),
        (["--print-completion", "fish"], "--print-completion: got fish, allowed: bash, zsh"),
        (["--version", "now"], "--version: got now, allowed: nothing behind it"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments: list[str], line: str) -> None:
    assert main(arguments) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"maml-rl: {line}")


def test_an_unknown_command_names_the_nearest(capsys) -> None:
    assert main(["evalute"]) == 2
    assert "nearest: evaluate" in capsys.readouterr().err


def test_help_and_version_need_no_pytorch(capsys) -> None:
    for asked, said in (("--help", usage()), ("--version", "PyTorch ")):
        assert main([asked]) == 0
        assert said in capsys.readouterr().out
        script = f"import sys; from maml_rl.__main__ import main; main([{asked!r}]); sys.exit('torch' in sys.modules)"
        assert (
            subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=ROOT, check=False).returncode == 0
        )


def test_a_command_is_that_of_its_module(tmp_path) -> None:
    arguments = ["train", "--env", "bandit", "--iterations", "1", "--num-tasks", "2", "--hidden-sizes", "4"]
    done = maml_rl(*arguments, "--num-threads", "1", "--run-dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "metrics.jsonl").exists()
    for given, line in ((["train", "--sead", "1"], "maml_rl.train: --sead"), (["plot", "no"], "maml_rl.plot: ")):
        done = maml_rl(*given)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(line)


@pytest.mark.skipif(os.name == "nt", reason="a pipe of another kind")
def test_a_reader_that_has_gone_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "maml_rl", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    process.stdout.close()  # type: ignore[union-attr]
    _, error = process.communicate(timeout=60)
    assert (error, process.returncode) == ("", 141)
