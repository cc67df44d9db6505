"""The costliest operators of a benchmark."""

from collections.abc import Iterable

from torch.profiler import ProfilerActivity, profile

from convae_zoo.bench.cases import Case

ROWS = 12


def costliest(cases: Iterable[Case]) -> str:
    """Run each case once and return PyTorch's table of the costliest operators."""
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    prepared = list(cases)
    with profile(activities=activities) as recorded:
        for case in prepared:
            for call in case.calls.values():
                call()
    table: str = recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=ROWS)
    return table
