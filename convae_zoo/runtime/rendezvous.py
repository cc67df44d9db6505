"""The store in which the processes of one attempt of ``torchrun`` find each other."""

import uuid
from datetime import timedelta
from typing import cast

from torch.distributed import DistStoreError
from torch.distributed.distributed_c10d import PrefixStore, Store

TIMEOUT = timedelta(seconds=1)
"""How long rank 0 waits for a process to answer before it invites it again."""

TRIES = 600
"""How many times rank 0 invites a process before it gives up."""


def fresh_store(store: Store, rank: int, size: int) -> Store:
    """Return the part of a shared store that belongs to this attempt alone.

    ``torchrun`` keeps one store through its restarts, so a restarted process would find the
    addresses of dead processes in it and wait for them. The number of restarts does not identify an
    attempt, since each machine counts its own. So every process draws a random number, and rank 0
    draws a name for the attempt and sends it to each process under that number: entries of an
    earlier attempt are never answered.

    Args:
        store: shared by all processes of all attempts.
        rank: this process, from 0.
        size: processes per attempt.

    Raises:
        torch.distributed.DistStoreError: a process did not answer within ten minutes.
    """
    if rank > 0:
        number = uuid.uuid4().hex
        store.set(f"here/{rank}", number)
        attempt = _text(store.get(f"attempt/{rank}/{number}"))
        store.set(f"joined/{attempt}/{rank}", "")
    else:
        attempt = uuid.uuid4().hex
        for other in range(1, size):
            _invite(store, attempt, other)
    return PrefixStore(attempt, store)


def _invite(store: Store, attempt: str, rank: int) -> None:
    for left in reversed(range(TRIES)):
        number = _text(store.get(f"here/{rank}"))
        store.set(f"attempt/{rank}/{number}", attempt)
        try:
            store.wait([f"joined/{attempt}/{rank}"], TIMEOUT)
        except DistStoreError:
            if not left:
                raise
        else:
            return


def _text(value: object) -> str:
    return cast("bytes", value).decode()
