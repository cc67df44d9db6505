"""Which tests two workers share out, and which stay together on one."""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/install/", "tests/faults/")
"""Folders whose tests share what is made once and costs much: an environment, a run of faults."""


class FoldersTogether(LoadScopeScheduling):
    """Gives the next test to the worker that is free, but the tests of some folders to one worker.

    A mark cannot say so: the process that schedules knows the tests by their names alone, and
    xdist 3.8 cannot add a mark to a name of pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)
