"""Benchmark results as documents in pytest-benchmark's format."""

import datetime as dt
import json
import math
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from pytest_benchmark import __version__ as engine_version
from pytest_benchmark.stats import Stats

from convae_zoo import files
from convae_zoo.bench.cases import Case
from convae_zoo.bench.limits import reference, settle, shares
from convae_zoo.bench.timing import Timing, time_until_stable
from convae_zoo.errors import DataError

Record = dict[str, Any]
_TIMES = ("min", "q1", "median", "q3")
_STATISTICS = (*_TIMES, "rounds")


def measure(cases: Iterable[Case], device: torch.device, seconds: float) -> dict[str, Any]:
    """Time cases and return the document of a results file.

    Args:
        cases: what to time.
        device: where they run.
        seconds: for each candidate of a case; up to three times as long if it is disturbed.
    """
    timed = []
    for case in cases:
        beside = reference(str(device), case.precision)
        timings = time_until_stable(case.calls, device, seconds * len(case.calls), beside)
        idle = attrs.evolve(case, calls={})  # without the tensors that its calls hold
        timed += [(idle, who, timing) for who, timing in timings.items()]
    for case, _, timing in timed:  # before any share is computed from a limit that is too low
        settle(case.work, min(timing.seconds), str(device), case.precision)
    return {
        "machine_info": {
            "python_version": platform.python_version(),
            "system": platform.system(),
            "machine": platform.machine(),
            "cpu": cpu_name(),
            "torch": torch.__version__,
        },
        "commit_info": {"id": None},
        "benchmarks": [record(*each, device) for each in timed],
        "datetime": dt.datetime.now(dt.UTC).isoformat(),
        "version": engine_version,
    }


def record(case: Case, who: str, timing: Timing, device: torch.device) -> Record:
    """Return the record of one candidate: its statistics, its rounds and its share of the limit."""
    stats: Any = Stats()  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
    for value in timing.seconds:
        stats.update(value)
    figures: dict[str, Any] = stats.as_dict()
    return {
        "group": case.group,
        "name": f"{case.name} {who}",
        "fullname": f"{case.name} {who}",
        "stats": {name: figures[name] for name in _STATISTICS} | {"data": timing.seconds},
        "extra_info": {
            "who": who,
            "device": device.type,
            "device_name": device_name(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "precision": case.precision,
            "disturbed": timing.is_disturbed,
            "reference_seconds": timing.reference,
            "images_per_second": round(case.images / figures["median"], 1),
            **shares(case.work, figures["min"], str(device), case.precision),
        },
    }


def write(document: dict[str, Any], path: str | Path) -> None:
    """Write a results file."""
    files.write_text(Path(path), json.dumps(document, indent=1) + "\n")


def read(path: str | Path) -> dict[str, Any]:
    """Read a results file.

    Raises:
        DataError: it cannot be read, or is none.
    """
    try:
        content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        for each in content["benchmarks"]:
            _check(each["stats"])
            _check_times([dict(each["extra_info"]).get("reference_seconds") or 1.0])
            str(each["fullname"])
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} is no results file; expected what 'convae-zoo bench --out' or "
            "'pytest --benchmark-json' writes"
        ) from error
    return content


def _check(stats: Mapping[str, Any]) -> None:
    """Check the statistics of a row: its times and, if it has them, its rounds.

    Raises:
        ValueError: a time is not a number above 0, or there are no rounds.
    """
    rounds = stats.get("data", [1.0])
    if not rounds:
        raise ValueError("there must be a round")
    _check_times([*(stats[name] for name in _TIMES), *rounds])


def _check_times(times: Iterable[float]) -> None:
    if not all(math.isfinite(seconds) and seconds > 0 for seconds in times):
        raise ValueError("every time must be above 0")


def device_name(device: torch.device) -> str:
    """Name the hardware of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def cpu_name() -> str:
    """Name the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()
