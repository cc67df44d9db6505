"""The fastest of several ways to do the same, by timing them in turns."""

import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

BUDGET, MOST_SECONDS = 0.15, 0.6
"""Seconds for which the candidates of one choice are timed, and those of `FEWEST_TURNS` at most.

Each has one turn, however long it takes.
"""

FEWEST_TURNS, MOST_TURNS = 3, 20

TURN, LONG_TURN = 0.006, 0.03
"""Seconds of a candidate's turn: the threads of the one before keep a core busy for a while.

It has at least `CALLS` calls, unless they take longer than a long turn.
"""

CALLS = 3

HOPELESS = (4.0, 2.0, 1.5)
"""How many times slower than the best one a candidate may be after one turn, two and more."""

_Key = TypeVar("_Key", bound=Hashable)


def fastest_of(calls: Mapping[_Key, Callable[[], object]]) -> _Key:
    """Time candidates that were called before, in turns; return the one of the smallest minimum.

    The minimum, because other work may disturb most of the calls. A candidate that is clearly
    slower than the best one is dropped, so that the others have more turns.
    """
    times = dict.fromkeys(calls, float("inf"))
    began = time.perf_counter()
    for turn in range(MOST_TURNS):
        ends = began + (BUDGET if turn >= FEWEST_TURNS else MOST_SECONDS)
        for candidate, fastest in times.items():
            if turn > 0 and time.perf_counter() > ends:
                break
            times[candidate] = min(fastest, _seconds(calls[candidate]))
        limit = HOPELESS[min(turn, len(HOPELESS) - 1)] * min(times.values())
        times = {each: seconds for each, seconds in times.items() if seconds <= limit}
        if len(times) == 1 or time.perf_counter() > ends:
            break
    return min(times, key=times.__getitem__)


def _seconds(call: Callable[[], object]) -> float:
    """Return the fastest of the calls of a turn; the first ones bring the weights into cache."""
    fastest, calls, began = float("inf"), 0, time.perf_counter()
    while (started := time.perf_counter()) - began < (TURN if calls >= CALLS else LONG_TURN):
        call()
        calls += 1
        fastest = min(fastest, time.perf_counter() - started)
    return fastest
