"""Shared by all benchmarks: devices, the limit, and the contents of a record."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from convae_zoo.bench.document import cpu_name, device_name
from convae_zoo.bench.limits import Work, matmul_peak, settle
from convae_zoo.bench.timing import CLOCK, Timing
from convae_zoo.runtime.memory import keep_freed_memory

Report = Callable[..., None]


def pytest_configure() -> None:
    """Keep freed memory, for every candidate alike: page faults would dominate a layer's time."""
    keep_freed_memory()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--full``."""
    parser.addoption("--full", action="store_true", help="every batch size, longer rounds")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise batch sizes: 64, or all of them with ``--full``."""
    if "batch" in metafunc.fixturenames:
        full = metafunc.config.getoption("full")
        metafunc.parametrize("batch", [1, 64, 256] if full else [64])


@pytest.fixture
def budget(pytestconfig: pytest.Config) -> float:
    """Seconds for which the candidates of one case are timed."""
    return 2.0 if pytestconfig.getoption("full") else 0.25


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each kind of device; a missing one is skipped."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device")
    return torch.device(request.param)


@pytest.fixture
def report(benchmark: Any) -> Report:
    """Report a timing to pytest-benchmark, with everything that a record holds."""

    def record(
        timing: Timing,
        device: torch.device,
        *,
        images: int = 0,
        gflop: float = 0.0,
        precision: str = "fp32",
        **more: Any,
    ) -> None:
        CLOCK.load(timing.seconds)
        benchmark.pedantic(lambda: None, rounds=len(timing.seconds))
        median = benchmark.stats.stats.median
        benchmark.extra_info.update(
            device=device.type,
            device_name=device_name(device),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            precision=precision,
            disturbed=timing.is_disturbed,
            reference_seconds=timing.reference,
            warm_up_seconds=round(timing.warm_up, 4),
            peak_megabytes=round(timing.peak_bytes / 1e6, 1),
            **more,
        )
        if images:
            benchmark.extra_info["images_per_second"] = round(images / median, 1)
        if gflop:
            settle(Work(gflop=gflop, bytes=0), median, device.type, precision)
            benchmark.extra_info["gflop_per_second"] = round(gflop / median, 2)

    return record


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:  # noqa: ARG001 - a hook's arguments
    """Keep the hardware, and nothing that names the machine."""
    kept = {key: machine_info[key] for key in ("python_version", "system", "machine")}
    machine_info.clear()
    machine_info.update(kept, cpu=cpu_name(), torch=torch.__version__)


def pytest_benchmark_update_commit_info(config: Any, commit_info: dict[str, Any]) -> None:  # noqa: ARG001 - a hook's arguments
    """Keep only the commit."""
    commit = commit_info.get("id")
    commit_info.clear()
    commit_info["id"] = commit


def pytest_benchmark_update_json(
    config: Any,  # noqa: ARG001 - a hook's arguments
    benchmarks: Any,  # noqa: ARG001 - a hook's arguments
    output_json: dict[str, Any],
) -> None:
    """Add the shares of the limits, which are now final, and keep the file small.

    Of the statistics some are kept, and at most 50 rounds in four digits.
    """
    kept = ("min", "q1", "median", "q3", "rounds")
    for record in output_json["benchmarks"]:
        rounds = [float(f"{seconds:.4g}") for seconds in record["stats"].get("data", [])]
        record["stats"] = {key: record["stats"][key] for key in kept}
        if rounds:
            record["stats"]["data"] = rounds[:: -(-len(rounds) // 50)]
        info = record["extra_info"]
        if "gflop_per_second" in info:
            peak = matmul_peak(info["device"], info["precision"])
            share = info["gflop_per_second"] / peak
            info |= {
                "matmul_peak": round(peak, 1),
                "share_of_peak": round(share, 4),
                "limit_too_low": share > 1,
            }
        for key in ("options", "params", "param"):
            record.pop(key, None)
