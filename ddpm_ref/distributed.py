"""Several processes, one model: what `torchrun` starts, on one machine or many.

Each process has a GPU (or a share of the CPU) and sees its part of every batch; gradients are averaged
by DistributedDataParallel, so that a step equals that of one process with the whole batch.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from ddpm_ref.errors import UserError


@dataclass(frozen=True)
class World:
    """Which of how many processes this is.

    Attributes:
        rank: 0…size−1 over all machines; 0 writes files and talks.
        size: number of processes.
        device: what this process computes on; None in a world of one, which may choose.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def must_share(self, batch_size: int) -> None:
        """Raise UserError when a batch cannot be shared out evenly."""
        if batch_size % self.size:
            raise UserError(
                f"A batch of {batch_size} cannot be shared by {self.size} processes: "
                f"choose a --batch-size that {self.size} divides."
            )

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of the processes; all of them have to ask."""
        if self.size == 1:
            return flag
        votes = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return bool(votes)

    def gather(self, mine: Tensor) -> list[Tensor]:
        """The CPU tensors of all processes, in the order of ranks; all of them have to call it."""
        if self.size == 1:
            return [mine]
        found: list = [None] * self.size
        dist.all_gather_object(found, mine)
        return found

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Within it is one process of each machine at first, and the others when that one is through."""
        first = int(os.environ.get("LOCAL_RANK", 0)) == 0
        if not first:
            self.any(False)
        try:
            yield
        finally:  # also where it failed: the others fail as it did, and do not wait
            if first:
                self.any(False)


def join_world(device: str | None = None) -> World:
    """Meet the other processes that torchrun started; a world of one when it did not start this one.

    Args:
        device: what the user asked for; "cpu" keeps the processes off the GPUs.

    Raises:
        UserError: when there are more processes than GPUs, or something else than torchrun started them.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return World()
    if missing := {"RANK", "LOCAL_RANK"} - os.environ.keys():
        raise UserError(
            f"WORLD_SIZE is {size}, and {' and '.join(sorted(missing))} unknown: start several processes "
            f"with torchrun, or unset WORLD_SIZE for one."
        )
    local_rank = int(os.environ["LOCAL_RANK"])
    on_gpu = torch.cuda.is_available() and (device is None or device.startswith("cuda"))
    if on_gpu:
        if local_rank >= torch.cuda.device_count():
            raise UserError(
                f"{os.environ.get('LOCAL_WORLD_SIZE', size)} processes were started on a machine with "
                f"{torch.cuda.device_count()} GPUs: start as many as there are GPUs, or add --device cpu."
            )
        torch.cuda.set_device(local_rank)
    if not dist.is_initialized():
        # Without device_id: with it NCCL hangs now and then in torch 2.7.0 (pytorch issue 153960).
        dist.init_process_group("nccl" if on_gpu else "gloo")
    own = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
    return World(int(os.environ["RANK"]), size, own)


def leave_world() -> None:
    """Part from the other processes, once all of them are here; all of them have to call it."""
    if dist.is_available() and dist.is_initialized():
        on_gpu = dist.get_backend() == "nccl"
        dist.barrier(device_ids=[torch.cuda.current_device()] if on_gpu else None)
        dist.destroy_process_group()


def end_at_once(code: int) -> None:
    """End a process that torchrun started, with nothing of it left to take down.

    gloo's threads now and then abort a process that takes itself down in the ordinary way (signal 6),
    and torchrun then reports a finished run as failed.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
