"""The command of every benchmark: its options, one JSON object, and one line for bad input."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from maml_rl.command import exit_status
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name, read_flags
from maml_rl.schema.help_page import print_help

Options = TypeVar("Options")


def run(
    name: str,
    kind: type[Options],
    description: str,
    work: Callable[[Options, Sequence[str]], Mapping[str, Any]],
    argv: Sequence[str] | None = None,
    trains: bool = False,
) -> int:
    """Do the work of benchmarks.<name>, and print the JSON object of what it returns. Returns the exit status.

    kind: a dataclass of its options, all with defaults. work: takes them and, if it trains, options of maml_rl.train,
    which stand behind --. 2 for bad input, with one line (`maml_rl.command`).
    """

    def command() -> int:
        arguments = list(sys.argv[1:] if argv is None else argv)
        at = arguments.index("--") if "--" in arguments else len(arguments)
        own, flags = arguments[:at], arguments[at + 1 :]
        if "-h" in own or "--help" in own:
            print_help({"": kind()}, f"python -m benchmarks.{name}", description)
        if flags and not trains:
            raise UsageError(f"{flags[0]}: not allowed behind --, as this benchmark does not train")
        given = read_flags(own, kind)
        for option, value in given.items():
            if value == ():
                raise UsageError(f"{option_name(option)}: got no value, allowed: one or more")
        result = work(kind(**given), flags)
        print(json.dumps({"benchmark": name, **result}))
        return 0

    return exit_status(f"benchmarks.{name}", command)
