"""Work that is done in a thread of its own, beside the training."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

WAITING = 2
"""Jobs that may be unfinished when another is given: each holds a copy of the weights."""


class Background:
    """Does jobs one after another in a thread.

    The error of a job is raised by a later call of `run` or `wait`; no job after it is done.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "convae-zoo-writer")
        self._jobs: deque[Future[None]] = deque()
        self._failed = False

    def run(self, job: Callable[[], None]) -> None:
        """Do a job when those before it are done.

        Raises:
            Exception: what one of those before it raised.
        """
        self._take(leave=WAITING - 1)
        self._jobs.append(self._thread.submit(self._do, job))

    def wait(self) -> None:
        """Wait until all jobs are done.

        Raises:
            Exception: what one of them raised.
        """
        self._take(leave=0)

    def close(self) -> None:
        """End the thread after its jobs; their errors are raised as by `wait`."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def _take(self, leave: int) -> None:
        while self._jobs and (len(self._jobs) > leave or self._jobs[0].done()):
            self._jobs.popleft().result()

    def _do(self, job: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            job()
        except BaseException:
            self._failed = True
            raise
