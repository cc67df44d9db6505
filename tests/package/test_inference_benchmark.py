"""The benchmark of inference: its turns and its arithmetic."""

from benchmarks.inference import summary, time_in_turns


def test_every_candidate_has_its_turns_and_the_best_rival_is_compared():
    called = []
    calls = {name: lambda name=name: called.append(name) for name in ("eager", "ours")}
    times = time_in_turns(calls, 0.0)
    assert set(times) == set(calls)
    assert all(len(found) >= 3 for found in times.values())
    assert called.index("ours") < len(called) - 1 - called[::-1].index("eager")


def test_the_ratio_is_of_medians():
    times = {"eager": [3.0, 9.0, 2.0], "onnxruntime": [2.0, 2.0, 5.0], "ours": [1.0, 1.0, 7.0]}
    found = summary(times)
    assert (found["best_rival"], found["best_rival_over_ours"]) == ("onnxruntime", 2.0)
    assert found["minimum_ms"]["ours"] == 1000
