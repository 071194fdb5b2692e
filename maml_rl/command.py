"""Exit statuses, once for all commands."""

import sys
from collections.abc import Callable

from maml_rl.envs.errors import FamilyError, WorkerError
from maml_rl.machine.discard import discard
from maml_rl.machine.quiet_start import start_is_over
from maml_rl.machine.ranks import SaidByFirstRank
from maml_rl.machine.stop_signals import Interrupted
from maml_rl.schema.errors import Diverged, UsageError, summary

FAILED, BAD_INPUT = 1, 2
INTERRUPTED, READER_GONE = 128 + 2, 128 + 13  # as a shell says it of SIGINT and SIGPIPE


def exit_status(command: str, work: Callable[[], int]) -> int:
    """Do the work of a command, and return the exit status: its own, or that of the error that it raised.

    2 for bad input; 1 for a policy that diverged, a user's environment that failed, and a file that cannot be written;
    each with one line on standard error that begins with the command's name. 128 + the signal after SIGINT, SIGTERM and
    SIGHUP, and if the reader of standard output has gone.
    """
    start_is_over()
    try:
        status = work()
        sys.stdout.flush()
        return status
    except SaidByFirstRank:
        return BAD_INPUT
    except (UsageError, FamilyError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        return BAD_INPUT
    except Diverged as error:
        print(f"{command}: {error}", file=sys.stderr)
        return FAILED
    except MemoryError:
        print(f"{command}: out of memory: fewer tasks or episodes, or a smaller policy, take less", file=sys.stderr)
        return FAILED
    except WorkerError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return FAILED
    except Interrupted as interrupted:
        return interrupted.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        discard(sys.stdout)
        return READER_GONE
    except OSError as error:
        print(f"{command}: {summary(error)}", file=sys.stderr)
        return FAILED
