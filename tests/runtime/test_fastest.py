"""The choice among ways to do the same, by a clock that only the calls move."""

import time

import pytest

from convae_zoo.runtime import fastest


@pytest.fixture
def run(monkeypatch):
    """Return a function that chooses among calls of given seconds, and counts them."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def choose(seconds):
        counts = dict.fromkeys(seconds, 0)

        def call(name):
            taken = seconds[name]
            now[0] += taken[counts[name] % len(taken)]
            counts[name] += 1

        chosen = fastest.fastest_of({name: lambda name=name: call(name) for name in seconds})
        return chosen, counts

    return choose


def test_the_fastest_is_chosen_and_hopeless_ones_are_dropped(run):
    chosen, counts = run({"slow": [0.01], "near": [0.0022], "fast": [0.002]})
    assert chosen == "fast"
    assert counts["slow"] <= fastest.CALLS + 1
    assert counts["near"] > 5 * fastest.CALLS


def test_a_call_that_was_disturbed_does_not_decide(run):
    assert run({"steady": [0.003], "disturbed": [0.008, 0.008, 0.008, 0.002]})[0] == "disturbed"


def test_calls_that_take_seconds_have_one_turn(run):
    chosen, counts = run({"longer": [2.1], "long": [2.0]})
    assert chosen == "long"
    assert counts == {"long": 1, "longer": 1}
