"""Write a page about runs: what was run, what it learned, and how well it does on new tasks.

python -m maml_rl.report runs/RUN --output report.html
"""

import shlex
import sys
from collections.abc import Sequence

from rich.console import Console

from maml_rl.command import exit_status
from maml_rl.machine.atomic_file import write_atomically
from maml_rl.machine.computer import computer
from maml_rl.machine.threads import use_threads
from maml_rl.machine.versions import versions
from maml_rl.options.parts import choose_device
from maml_rl.page.options import Options, parse
from maml_rl.runs.sessions import Session, now


def run(options: Options, command: str) -> int:
    """Evaluate, draw, write. Returns the exit status."""
    device = choose_device(options.device)
    use_threads(options.num_threads)
    made = Session(command, now(), 0, None, 1, versions(), computer(device))

    # matplotlib takes a second to import; bad input does not have to wait for it
    from maml_rl.page.document import document
    from maml_rl.page.gathering import gather

    content = document(gather(options, Console(stderr=True)), made).encode()
    assert options.output
    write_atomically(options.output, content)
    print(f"{options.output}: {len(content) / 1e6:.1f} MB")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status (`maml_rl.command`)."""
    argv = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "-m", "maml_rl.report", *argv])
    return exit_status("maml_rl.report", lambda: run(parse(argv), command))


if __name__ == "__main__":
    sys.exit(main())
