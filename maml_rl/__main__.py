"""All commands in one: `maml-rl train` is `python -m maml_rl.train`. Imports PyTorch only for the one that is run."""

import os
import runpy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from maml_rl.machine.discard import discard
from maml_rl.machine.versions import in_one_line, versions
from maml_rl.schema.errors import UsageError, nearest

PROG = "maml-rl"
BAD_INPUT, READER_GONE = 2, 128 + 13  # as maml_rl.command has them, which imports PyTorch
SHELLS = ("bash", "zsh")


@dataclass(frozen=True)
class Command:
    """A module maml_rl.NAME that is a command."""

    words: str  # for --help
    options: str  # "module:NAME", a dataclass of its flags or a tuple of them: a shell completes these


COMMANDS = {
    "train": Command("meta-train a policy, a regressor or a classifier", "maml_rl.options.command_line:OPTIONS"),
    "evaluate": Command("evaluate on new tasks: a table, JSON, a video", "maml_rl.evaluation.options:Options"),
    "plot": Command("draw the curves of runs and of evaluations", "maml_rl.plot:Options"),
    "compare": Command("train several algorithms, and say which is better", "maml_rl.comparison.options:OPTIONS"),
    "report": Command("write a page about runs", "maml_rl.page.options:Options"),
}


def usage() -> str:
    """The text of --help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.words}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROG} COMMAND [OPTIONS]",
            "",
            *lines,
            "",
            f"{PROG} COMMAND --help prints the options of a command, which python -m maml_rl.COMMAND is too.",
            "",
            "  --version                    print the versions of maml_rl and of what it computes with",
            f"  --print-completion {'|'.join(SHELLS)}  print a script that completes commands and options",
        ]
    )


def completion(shell: str) -> str:
    """The script for a shell. Imports every command's options."""
    from maml_rl.schema.completion import SHELLS as SCRIPTS
    from maml_rl.schema.completion import Flag, flags_of

    commands = {}
    for name, command in COMMANDS.items():
        name_of_module, _, attribute = command.options.partition(":")
        module = import_module(name_of_module)
        options = getattr(module, attribute)
        refused = getattr(module, "INSTEAD", {})  # options that it has others for
        commands[name] = flags_of(*(options if isinstance(options, tuple) else (options,)), without=refused)
    own = [
        Flag("--help", "Print the commands", takes_value=False),
        Flag("--version", "Print the versions", takes_value=False),
        Flag("--print-completion", "Print a script for a shell", SHELLS),
    ]
    return SCRIPTS[shell](PROG, commands, own)


def run(argv: Sequence[str]) -> int:
    """Run a command, which ends the process, or print what is asked for. Raises UsageError."""
    first, *rest = argv or [""]
    if first in COMMANDS:
        sys.argv[1:] = rest
        if not {"", os.getcwd()} & set(sys.path):  # as `python -m` has it: a class of the user's stands there
            sys.path.insert(0, os.getcwd())
        runpy.run_module(f"maml_rl.{first}", run_name="__main__", alter_sys=True)
    elif first in ("-h", "--help", "--version"):
        if rest:
            raise UsageError(f"{first}: got {' '.join(rest)}, allowed: nothing behind it")
        print(in_one_line(versions()) if first == "--version" else usage())
    elif first == "--print-completion":
        if rest not in ([shell] for shell in SHELLS):
            raise UsageError(f"--print-completion: got {' '.join(rest) or 'no value'}, allowed: {', '.join(SHELLS)}")
        print(completion(rest[0]), end="")
    else:
        got = repr(first) if first else "no command"
        raise UsageError(f"got {got}, allowed: {', '.join(COMMANDS)}; see --help{nearest(first, COMMANDS)}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command of all commands. Returns the exit status: 2 for bad input, else that of the command that was run."""
    try:
        status = run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return status
    except UsageError as error:
        print(f"{PROG}: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        discard(sys.stdout)
        return READER_GONE


if __name__ == "__main__":
    sys.exit(main())
