"""The processes of an attempt find each other, whatever the attempts before left in the store."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import DistStoreError, TCPStore

from convae_zoo.runtime import rendezvous


@pytest.fixture
def connect():
    """A server and a function that opens one more connection to it."""
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def client():
        return TCPStore("127.0.0.1", server.port, timeout=timedelta(seconds=20))

    return client


def meet(connect, ranks, size):
    """What `fresh_store` gives each of these ranks, which come all at once."""
    with ThreadPoolExecutor(len(ranks)) as pool:
        waiting = [pool.submit(rendezvous.fresh_store, connect(), rank, size) for rank in ranks]
        return [each.result() for each in waiting]


def test_an_attempt_does_not_see_what_the_one_before_wrote(connect):
    before = meet(connect, (0, 1, 2), 3)
    before[0].set("address", "of a dead process")
    now = meet(connect, (2, 1, 0), 3)
    assert not any(store.check(["address"]) for store in now)
    now[0].set("address", "of a living one")
    assert {store.get("address") for store in now} == {b"of a living one"}


def test_an_attempt_that_broke_off_does_not_hold_up_the_next(connect, monkeypatch):
    monkeypatch.setattr(rendezvous, "TIMEOUT", timedelta(milliseconds=50))
    connect().set("here/1", "the number of a process that died before it was answered")
    stores = meet(connect, (0, 1), 2)
    stores[1].set("key", "value")
    assert stores[0].get("key") == b"value"


def test_a_process_that_never_comes_is_given_up(connect, monkeypatch):
    monkeypatch.setattr(rendezvous, "TIMEOUT", timedelta(milliseconds=50))
    monkeypatch.setattr(rendezvous, "TRIES", 3)
    connect().set("here/1", "the number of a process that died")
    with pytest.raises(DistStoreError):
        rendezvous.fresh_store(connect(), 0, 2)
