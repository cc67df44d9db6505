"""Where the processes of one attempt of ``torchrun`` meet, apart from the attempts before it."""

import uuid
from datetime import timedelta
from typing import cast

from torch.distributed import DistStoreError
from torch.distributed.distributed_c10d import PrefixStore, Store

PATIENCE = timedelta(seconds=1)
"""How long rank 0 waits for a process's answer before it reads again who is there."""

TRIES = 600
"""How often rank 0 reads again before it gives a process up."""


def fresh_store(store: Store, rank: int, size: int) -> Store:
    """Return the part of a shared store that this attempt has to itself.

    ``torchrun`` keeps one store through its restarts, so that a restarted process finds there the
    addresses of processes that are dead and waits for them. The count of restarts does not tell the
    attempts apart, as each machine has its own. So rank 0 draws a name for the attempt and gives it
    to each process by the number that this process has drawn: what lies there from the attempt
    before is never answered.

    Args:
        store: what all processes of all attempts share.
        rank: this process, from 0.
        size: how many processes an attempt has.

    Raises:
        torch.distributed.DistStoreError: a process did not come within ten minutes.
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
            store.wait([f"joined/{attempt}/{rank}"], PATIENCE)
        except DistStoreError:
            if not left:
                raise
        else:
            return


def _text(value: object) -> str:
    return cast("bytes", value).decode()
