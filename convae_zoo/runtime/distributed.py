"""The processes of a run, started by ``torchrun``: ranks, shards and sums over all of them."""

import contextlib
import gc
import importlib
import os
from collections.abc import Iterator

import attrs
import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.runtime.rendezvous import fresh_store


@attrs.frozen
class World:
    """The processes of a run. One process alone is a world of size 1.

    Attributes:
        rank: this process, from 0.
        size: how many there are.
        local_rank: this process among those on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints for all."""
        return self.rank == 0

    def shard(self, batch: Tensor) -> Tensor:
        """Return this process's shard of a batch: sizes differ by one at most, none overlap."""
        return batch.tensor_split(self.size)[self.rank] if self.size > 1 else batch

    def sum(self, values: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place; every process gets the same."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait for every process."""
        if self.size > 1:
            distributed.barrier()

    def seed_rank(self) -> None:
        """Give each rank its own random state, drawn from the common one; rank 0 keeps that."""
        if self.rank > 0:
            torch.manual_seed(int(torch.randint(2**62, (self.rank,))[-1]))

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients that are the mean over all processes."""
        if self.size == 1:
            return module
        on_gpu = next(module.parameters()).is_cuda
        return DistributedDataParallel(module, device_ids=[self.local_rank] if on_gpu else None)


def under_torchrun() -> bool:
    """Tell whether ``torchrun`` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "WORLD_SIZE" in os.environ


def was_restarted() -> bool:
    """Tell whether ``torchrun`` started this process again after one had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def is_main_process() -> bool:
    """Tell whether this process prints: only rank 0 does."""
    return os.environ.get("RANK", "0") == "0" or not under_torchrun()


@contextlib.contextmanager
def join_world(device: torch.device) -> Iterator[tuple[World, torch.device]]:
    """Join the processes that ``torchrun`` started, or be alone without it.

    Yields:
        The world, and this process's device: with CUDA the GPU of its local rank.

    Raises:
        UsageError: there are more processes than GPUs on this machine.
        TrainingError: another process died.
    """
    if not under_torchrun() or distributed.is_initialized():
        yield World(), device
        return
    world = World(*(int(os.environ[v]) for v in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    if device.type == "cuda":
        if world.local_rank >= torch.cuda.device_count():
            raise UsageError(
                f"{os.environ.get('LOCAL_WORLD_SIZE')} processes on a machine with "
                f"{torch.cuda.device_count()} GPUs; start one per GPU, or pass --device cpu"
            )
        device = torch.device("cuda", world.local_rank)
        torch.cuda.set_device(device)
    # If it is imported later (DistributedDataParallel does that), its functions keep the process
    # group, with its threads, as a default argument for ever.
    importlib.import_module("torch.distributed.nn")
    shared, rank, size = next(rendezvous("env://"))
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=fresh_store(shared, rank, size),
        rank=rank,
        world_size=size,
    )
    try:
        yield world, device
        # A thread of the group that outlives the interpreter aborts the process, so nothing may
        # keep the group alive, not even a module of `wrap` that is not collected yet.
        gc.collect()
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise TrainingError(
            "lost another process of this run; --resume continues from the last checkpoint, and "
            "torchrun --max-restarts does so by itself"
        ) from error
    finally:
        distributed.destroy_process_group()
