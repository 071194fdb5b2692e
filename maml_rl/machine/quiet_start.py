"""Ctrl-C while a command imports what it needs: the process ends, without the traceback of half an import."""

import signal
import sys
from pathlib import Path

SCRIPT = "maml-rl"


def quiet_start() -> None:
    """If this process is one of the package's commands, let SIGINT just end it, until `start_is_over`.

    Imported by anything else, the package leaves signals alone.
    """
    module = sys.orig_argv[sys.orig_argv.index("-m") + 1 :][:1] if "-m" in sys.orig_argv else []
    is_command = module and module[0].split(".")[0] == __name__.split(".")[0] and sys.argv[:1] == ["-m"]
    is_script = Path(sys.argv[0]).stem == SCRIPT if sys.argv else False
    if (is_command or is_script) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_is_over() -> None:
    """From here on SIGINT raises KeyboardInterrupt again, which commands turn into their exit status."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
