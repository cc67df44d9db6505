"""Which rows of two results differ by more than their spread."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from convae_zoo.errors import UsageError

TOLERANCE = 1.05
"""Ratio within which two times count as equal: two runs of the same code differ that much."""

RESOLUTION = 1.10
"""Ratio that runs in turns must be able to rule out; else a row is not called equal."""

LEAST_PAIRS = 4
"""Undisturbed pairs of runs that a verdict needs."""

_RESAMPLES = 2000
_CONFIDENCE = 0.998
_CONFIDENCE_OF_RUNS = 0.999


@attrs.frozen(kw_only=True)
class Verdict:
    """How a row changed.

    Attributes:
        name: the row's.
        ratio: the new median divided by the old one.
        verdict: ``slower``, ``faster``, ``equal``, or ``disturbed`` if no verdict is possible.
    """

    name: str
    ratio: float
    verdict: str


def compare(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Compare the rows that two results have in common.

    A row is slower if both the minimum and, by a bootstrap over the rounds, the median grew by
    more than 5%, and three quarters of the new rounds are as much above the old median. Where both
    files have a reference that was timed beside the rows, this must hold of their ratios to it, and
    of the times as well: if it does not, the row gets no verdict. Nor does one that was disturbed
    in either file.

    Raises:
        UsageError: there are none.
    """
    before = {record["fullname"]: record for record in old}
    found = [_verdict(before[r["fullname"]], r) for r in new if r["fullname"] in before]
    if not found:
        raise UsageError("the two files have no row in common; compare results of the same cases")
    return found


def compare_runs(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[Verdict]:
    """Compare the documents of runs that were made in turns, old and new.

    A row is slower if its first quartile grew by more than 5% in the mean of the pairs of runs, and
    by Student's t-test of the pairs' logarithms grew at all, at a confidence of 99.9%. If the pairs
    differ so much that this test would not see 10%, it must have grown twice as clearly. A row is
    equal if a change of 10% can be ruled out as clearly. Times are divided by those of the
    reference. A row that was disturbed in a run is left out of that pair, and with less than four
    pairs gets no verdict.

    Raises:
        UsageError: they have no row in common.
    """
    before, after = ([_rows(document) for document in runs] for runs in (old, new))
    found = [
        _verdict_of_pairs(name, [(a[name], b[name]) for a, b in zip(before, after, strict=True)])
        for name in after[0]
        if all(name in run for run in (*before, *after))
    ]
    if not found:
        raise UsageError("the two checkouts have no row in common")
    return found


def _rows(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {record["fullname"]: record for record in document["benchmarks"]}


def _verdict_of_pairs(
    name: str, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Verdict:
    from scipy.special import stdtrit  # not needed for two files

    calm = [pair for pair in pairs if not any(row["extra_info"].get("disturbed") for row in pair)]
    changes = np.log(
        [new["stats"]["q1"] / old["stats"]["q1"] / _drift(old, new) for old, new in calm or pairs]
    )
    mean, verdict = float(changes.mean()), "disturbed"
    if len(calm) >= LEAST_PAIRS:
        error = float(changes.std(ddof=1)) / math.sqrt(len(changes))
        uncertainty = float(stdtrit(len(changes) - 1, _CONFIDENCE_OF_RUNS)) * error
        is_precise = uncertainty < math.log(RESOLUTION)
        needed = uncertainty if is_precise else 2 * uncertainty
        if abs(mean) > max(needed, math.log(TOLERANCE)):
            verdict = "slower" if mean > 0 else "faster"
        elif abs(mean) + uncertainty < math.log(RESOLUTION):
            verdict = "equal"
    return Verdict(name=name, ratio=math.exp(mean), verdict=verdict)


def hardware(document: Mapping[str, Any]) -> str:
    """Name the hardware of a results file: device, threads and version of torch."""
    infos = [record["extra_info"] for record in document["benchmarks"]]
    found = {
        f"{i.get('device_name', 'an unknown device')}, {i.get('threads', '?')} threads, "
        f"torch {i.get('torch', '?')}"
        for i in infos
    }
    return "; ".join(sorted(found)) or "no rows"


def _verdict(old: Mapping[str, Any], new: Mapping[str, Any]) -> Verdict:
    before, plain = old["stats"], new["stats"]
    relative = _slowed(plain, 1 / _drift(old, new))
    ratio = relative["median"] / before["median"]
    if any(record["extra_info"].get("disturbed") for record in (old, new)):
        verdict = "disturbed"
    elif _is_slower(before, relative):
        verdict = "slower" if _is_slower(before, plain) else "disturbed"
    elif _is_slower(relative, before):
        verdict = "faster" if _is_slower(plain, before) else "disturbed"
    else:
        verdict = "equal"
    return Verdict(name=new["fullname"], ratio=ratio, verdict=verdict)


def _drift(old: Mapping[str, Any], new: Mapping[str, Any]) -> float:
    """Return how much slower the machine was as a whole, by the reference; 1 without one."""
    before, after = (row["extra_info"].get("reference_seconds") for row in (old, new))
    return float(after / before) if before and after else 1.0


def _slowed(stats: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a row's times multiplied by a factor."""
    scaled = {name: factor * stats[name] for name in ("min", "q1", "median", "q3")}
    return scaled | ({"data": [factor * s for s in stats["data"]]} if "data" in stats else {})


def _is_slower(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if new["min"] <= TOLERANCE * old["min"] or new["q1"] <= TOLERANCE * old["median"]:
        return False
    if "data" not in old or "data" not in new:  # a file without rounds has their quartiles
        return bool(new["q1"] > old["q3"] and new["median"] > TOLERANCE * old["median"])
    ratios = _medians(new["data"], 1) / _medians(old["data"], 2)
    return bool(np.quantile(ratios, 1 - _CONFIDENCE) > TOLERANCE)


def _medians(rounds: Sequence[float], seed: int) -> NDArray[np.float64]:
    """Return the medians of resamples of the rounds."""
    draw, values = np.random.default_rng(seed), np.asarray(rounds)
    chosen = values[draw.integers(0, len(values), (_RESAMPLES, len(values)))]
    medians: NDArray[np.float64] = np.median(chosen, axis=1)
    return medians
