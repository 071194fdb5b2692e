"""Ranks: the processes of one run, as torchrun starts them, and their messages to each other."""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store

from maml_rl.envs.errors import FamilyError
from maml_rl.schema.errors import UsageError

PR_SET_PDEATHSIG = 1  # of Linux's sys/prctl.h
FOREVER = timedelta(days=365)  # the first rank may film or draw for as long as it takes


class RankLost(RuntimeError):
    """Another rank has gone, or cannot be reached. It has said why, if it could."""


class SaidByFirstRank(UsageError):
    """Bad input that another rank prints, raised on the ranks that do not."""


def checksum(theta: Tensor) -> float:
    """Of parameters: a number that the ranks can add up."""
    return float(zlib.crc32(theta.cpu().numpy().tobytes()))


def check_agreement(own: float, ranks: float, total: float) -> None:
    """Raise RuntimeError if the ranks have come to different parameters: they would go on to learn nonsense.

    own: `checksum` of this rank's. ranks, total: the sums over all ranks of 1, and of their checksums.
    """
    if total != ranks * own:
        raise RuntimeError(
            "the ranks have come to different parameters: all need the same kind of processor and device"
        )


@dataclass(frozen=True)
class Ranks:
    """This process among all that share the run. Without torchrun it is the only one, and nothing here does anything.

    Everything here but the properties and `share` is for all ranks to call together, in the same order.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on this machine
    local_size: int = 1
    _control: dist.ProcessGroup | None = None  # gloo: messages before the first iteration, and waiting
    _vectors: dist.ProcessGroup | None = None  # gloo, or NCCL: the sums of every iteration
    _launcher: Store | None = None  # torchrun's own, which outlives the ranks

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes and prints."""
        return self.rank == 0

    def share(self, num_tasks: int) -> slice:
        """This rank's tasks of `num_tasks`: the ranks' shares follow one another, and differ by one at most."""
        each, more = divmod(num_tasks, self.size)
        first = self.rank * each + min(self.rank, more)
        return slice(first, first + each + (self.rank < more))

    def sum(self, part: Tensor) -> Tensor:
        """The sum over all ranks of a tensor that each of them has; the same on all of them, to the last bit."""
        if self._vectors is None:
            return part
        total = part.clone()
        with _losses():
            _finish(dist.all_reduce(total, group=self._vectors, async_op=True))
        return total

    def join(self, share: Tensor, num_tasks: int) -> Tensor:
        """[..., M] of all tasks from the [..., m] of each rank's own."""
        whole = share.new_zeros(*share.shape[:-1], num_tasks)
        whole[..., self.share(num_tasks)] = share
        return self.sum(whole)

    def wait_for_first(self) -> None:
        """Wait until all are here, for as long as it takes."""
        if self._control is not None:
            with _losses():
                _finish(dist.barrier(group=self._control, async_op=True))

    def gather(self, value: Any) -> list[Any]:
        """The value of each rank, by rank. For small values, before the first iteration."""
        values: list[Any] = [value] * self.size
        if self._control is not None:
            with _losses():
                dist.all_gather_object(values, value, group=self._control)
        return values

    def of_first(self, value: Any) -> Any:
        """The value of the first rank."""
        values = [value]
        if self._control is not None:
            with _losses():
                dist.broadcast_object_list(values, group=self._control, group_src=0)
        return values[0]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A block that all ranks leave by the same UsageError if one of them has bad input; the first prints it."""
        message: str | None = None
        try:
            yield
        except (UsageError, FamilyError) as error:
            message = str(error)
        message = next((each for each in self.gather(message) if each is not None), None)
        if message is not None:
            raise (UsageError if self.is_first else SaidByFirstRank)(message)

    def on(self, device: torch.device) -> "Ranks":
        """The same ranks, with vectors on devices of that type: on CUDA each rank has one of its own."""
        if device.type != "cuda" or self._vectors is None:
            return self
        with _losses():
            return replace(self, _vectors=_new_group("nccl"))

    def remember(self, key: str, value: str) -> None:
        """Tell torchrun, which tells it to the ranks that it may start in place of these. For the first rank alone."""
        if self._launcher is not None:
            self._launcher.set(key, value)

    def remembered(self, key: str) -> str | None:
        """The value that earlier ranks have told torchrun. For the first rank alone."""
        known = self._launcher is not None and self._launcher.check([key])
        return self._launcher.get(key).decode() if known else None  # type: ignore[union-attr]


ALONE = Ranks()


@contextlib.contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Meet the other ranks, if torchrun has started this process; all but the first lose their standard output.

    A rank that leaves by an exception just goes: the others notice, by a RankLost.
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    _end_with_launcher()
    rank, size, local_rank, local_size = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    with _losses():
        launcher = PrefixStore(f"maml_rl/{os.environ['TORCHELASTIC_RUN_ID']}", _connect(int(os.environ["MASTER_PORT"])))
        dist.init_process_group("gloo", store=_meeting_place(launcher, rank), rank=rank, world_size=size)
        control, vectors = _new_group("gloo", FOREVER), _new_group("gloo")
    output = sys.stdout if rank == 0 else open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    with contextlib.redirect_stdout(output):
        yield Ranks(rank, size, local_rank, local_size, control, vectors, launcher)
    dist.destroy_process_group()


def _end_with_launcher() -> None:
    """Have the system send SIGTERM if torchrun is killed: nobody else would end its ranks (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _meeting_place(launcher: Store, rank: int) -> Store:
    """A store of the first rank, in which all ranks find each other.

    torchrun's own will not do: after a restart it still holds the addresses of the ranks before (PyTorch 2.13; its
    RESTART_COUNT, which could tell them apart, is each machine's own). The port of their store leads nowhere.
    """
    if rank == 0:
        store = _connect(0, is_master=True)
        launcher.set("port", str(store.port))
        return store
    while True:
        port = int(launcher.get("port"))
        try:
            socket.create_connection((os.environ["MASTER_ADDR"], port), timeout=5).close()
            return _connect(port)
        except OSError:
            time.sleep(0.1)


def _connect(port: int, is_master: bool = False) -> dist.TCPStore:  # pyright: ignore[reportPrivateImportUsage]
    """The store at a port of the machine that has rank 0; as its master a new one, 0 for any port."""
    return dist.TCPStore(os.environ["MASTER_ADDR"], port, is_master=is_master)  # pyright: ignore[reportPrivateImportUsage]


def _new_group(backend: str, timeout: timedelta | None = None) -> dist.ProcessGroup:
    group = dist.new_group(backend=backend, timeout=timeout)
    assert isinstance(group, dist.ProcessGroup), "all ranks are in it"
    return group


@contextlib.contextmanager
def _losses() -> Iterator[None]:
    """Turn torch.distributed's errors into RankLost."""
    try:
        yield
    except RuntimeError as error:  # gloo's and NCCL's, and those of the store, are of this class
        raise RankLost(" ".join(str(error).split())) from error


def _finish(work: dist.Work | None) -> None:
    """Wait in short sleeps: signals are handled in between, and no core is kept busy, with NCCL neither."""
    assert work is not None, "this process belongs to the group"
    pause = 5e-5
    while not work.is_completed():
        time.sleep(pause)
        pause = min(2 * pause, 5e-3)
    work.wait()
