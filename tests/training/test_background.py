"""Jobs in a thread beside the training: their order, their errors, and how many may wait."""

import threading

import pytest

from convae_zoo.training.background import WAITING, Background


def test_jobs_are_done_in_order_in_a_thread_that_ends():
    done, background = [], Background()
    for number in range(5):
        background.run(lambda n=number: done.append((n, threading.current_thread())))
    background.close()
    assert [number for number, _ in done] == list(range(5))
    assert not any(thread.is_alive() for _, thread in done)


def test_an_error_is_raised_by_a_later_call_and_no_job_after_it_is_done():
    done, background = [], Background()

    def fail():
        raise OSError("the disk is full")

    background.run(fail)
    background._jobs.append(background._thread.submit(background._do, lambda: done.append(1)))
    with pytest.raises(OSError, match="disk is full"):
        background.wait()
    background.close()
    assert done == []


def test_no_more_jobs_wait_than_are_allowed():
    go, background, given = threading.Event(), Background(), []

    def give():
        for number in range(WAITING + 1):
            background.run(go.wait)
            given.append(number)

    giver = threading.Thread(target=give)
    giver.start()
    giver.join(0.3)
    assert given == list(range(WAITING))
    go.set()
    giver.join()
    background.close()
    assert len(given) == WAITING + 1
