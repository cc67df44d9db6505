"""`convae-zoo bench`: rows, limits and files, on small shapes."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time

import pytest
import torch

from convae_zoo.bench import limits, timing
from convae_zoo.bench.cases import Case, Conv, conv_cases
from convae_zoo.bench.comparison import compare
from convae_zoo.bench.document import record
from convae_zoo.bench.limits import Work, shares
from convae_zoo.cli import main

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(limits, "_SECONDS", 0.02)
    monkeypatch.setattr(limits, "_SIZES", {"cpu": (256,)})


def test_a_transposed_convolution_gives_rows_of_both_ways_layouts_and_precisions(tmp_path, capsys):
    out = tmp_path / "x.json"
    call = ["bench", "--conv", "4x8x8", "--stride", "2", "--transposed", "--batch", "2"]
    assert main([*call, "--seconds", "0.01", "--profile", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["benchmarks"]
    names = {row["name"] for row in rows}
    assert len(names) == 2 * 2 * 2 * 2
    assert "transposed 4-4x8x8k3s2 batch 2 bf16 channels_last backward ours" in names
    for row in rows:
        stats, info = row["stats"], row["extra_info"]
        assert stats["min"] <= stats["q1"] <= stats["median"] <= stats["q3"]
        assert len(stats["data"]) == stats["rounds"]
        assert info["share_of_limit"] == max(info["share_of_peak"], info["share_of_memory"]) > 0
        assert info["limit_too_low"] == (info["share_of_limit"] > 1)
        assert isinstance(info["disturbed"], bool)
    printed = capsys.readouterr().out
    assert "Self CPU" in printed
    assert "of limit" in printed.lower()


def test_a_model_is_timed_forward_and_backward_at_each_batch_size(capsys):
    call = ["bench", "--model", "convae-200.photos", "--batch", "1", "--batch", "2"]
    assert main([*call, "--seconds", "0.01"]) == 0
    printed = capsys.readouterr().out
    for batch in (1, 2):
        assert f"convae-200 batch {batch} bf16 channels_last backward ours" in printed


def test_the_work_of_a_convolution_is_counted_by_hand():
    conv = Conv(in_channels=4, out_channels=8, size=(6, 6))
    forward, backward, *_ = conv_cases(conv, 2, CPU)
    assert forward.work.gflop == pytest.approx(2 * 2 * 8 * 4 * 9 * 36 / 1e9)
    assert backward.work.gflop == pytest.approx(2 * forward.work.gflop)
    assert forward.work.bytes == 4 * (2 * 4 * 36 + 2 * 8 * 36 + 8 * 4 * 9 + 8)


def test_a_row_above_its_limit_is_a_fault_of_the_limit():
    peak = limits.matmul_peak("cpu", "fp32")
    work = Work(gflop=peak, bytes=1.0)
    assert shares(work, 0.5, "cpu", "fp32")["limit_too_low"] is True
    assert shares(work, 2.0, "cpu", "fp32")["share_of_limit"] == pytest.approx(0.5, abs=0.01)


def test_a_limit_that_a_row_exceeds_is_measured_again(monkeypatch):
    peak, rate = limits.matmul_peak("cpu", "fp32"), limits.memory_rate("cpu", 2**20)
    monkeypatch.setattr(limits, "_best", {("cpu", "fp32"): peak / 100, ("cpu", 21): rate / 100})
    for work, seconds in (
        (Work(gflop=peak, bytes=1.0), 2.0),
        (Work(gflop=1e-9, bytes=2**20), 2 * 2**20 / rate / 1e9),
    ):
        assert shares(work, seconds, "cpu", "fp32")["limit_too_low"] is True
        limits.settle(work, seconds, "cpu", "fp32")
        assert shares(work, seconds, "cpu", "fp32")["limit_too_low"] is False


def timed(monkeypatch, *attempts, waits=()):
    """Time work whose calls take so long: in each attempt the warm-up, then five rounds.

    In the rounds of the numbers in `waits`, over all attempts, a thread waits for a processor.
    """
    seconds = iter([s for attempt in attempts for s in attempt])
    readings = (float(reading // 2 in waits and reading % 2) for reading in itertools.count())

    @contextlib.contextmanager
    def processor_waits():
        yield lambda: next(readings)

    monkeypatch.setattr(timing, "processor_waits", processor_waits)
    monkeypatch.setattr(timing, "_time", lambda *_: next(seconds))
    found = timing.time_until_stable({"work": lambda: None}, CPU, 0)["work"]
    assert next(seconds, None) is None
    return found


RESTLESS, STEADY = [9, 1, 1, 2, 2, 2], [9, 1, 1, 1, 1, 5]


def test_disturbed_rounds_are_repeated_and_marked_if_no_attempt_is_steady(monkeypatch):
    assert timed(monkeypatch, RESTLESS, STEADY).seconds == STEADY[1:]
    assert not timed(monkeypatch, STEADY).is_disturbed
    assert timed(monkeypatch, RESTLESS, [9, 1, 1, 3, 3, 3], RESTLESS).is_disturbed


def test_rounds_in_which_a_thread_waited_for_a_processor_are_left_out(monkeypatch):
    calm = timed(monkeypatch, [9, 1, 7, 1, 1, 1], [9, 1, 1, 1, 1, 1], waits={1})
    assert calm.seconds == [1] * 5
    assert not calm.is_disturbed
    pooled = timed(monkeypatch, [9, 1, 7, 1, 1, 1], *[[9, 1, 1, 1, 2, 2]] * 2, waits={1})
    assert pooled.seconds == [1, 1, 1, 1, *[1, 1, 1, 2, 2] * 2]
    assert pooled.is_disturbed
    waited = timed(monkeypatch, STEADY, STEADY, STEADY, waits=set(range(11)))
    assert waited.seconds == STEADY[1:] * 3
    assert waited.is_disturbed


@pytest.mark.parametrize("time_it", [timing.time_until_stable, timing.time_interleaved])
def test_the_reference_is_timed_beside_the_work_and_is_no_row(time_it):
    work = {"work": lambda: None, "more": lambda: None}
    found = time_it(work, CPU, 0, lambda: time.sleep(0.002))
    assert set(found) == set(work)
    assert all(each.reference >= 0.002 for each in found.values())
    assert time_it(work, CPU, 0)["work"].reference is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts the waits")
def test_a_thread_that_shares_its_core_is_seen_to_wait():
    core = {min(os.sched_getaffinity(0))}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)
    try:
        spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # inherits the core
        try:
            with timing.processor_waits() as waits:
                started, until = waits(), time.perf_counter() + 0.5
                while time.perf_counter() < until:
                    pass
                assert waits() - started > 0.05
        finally:
            spin.kill()
            spin.wait()
    finally:
        os.sched_setaffinity(0, before)


def test_real_measurements_of_equal_work_are_equal_and_of_slower_work_slower():
    def rows(seconds):
        case = Case(
            name="sleep",
            group="core",
            precision="fp32",
            images=1,
            work=Work(gflop=1e-6, bytes=1.0),
            calls={"ours": lambda: time.sleep(seconds)},
        )
        return [record(case, "ours", timing.time_interleaved(case.calls, CPU, 0.5)["ours"], CPU)]

    first, again, slow = rows(0.01), rows(0.01), rows(0.1)
    assert compare(first, again)[0].verdict in {"equal", "disturbed"}
    assert compare(first, slow)[0].verdict in {"slower", "disturbed"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ([], "pass either --conv CxHxW or --model NAME"),
        (["--model", __file__, "--out", __file__], "is an input of this command"),
        (["--conv", "3x4x4", "--model", "convae-200"], "pass only one of --conv CxHxW and --model"),
        (
            ["--model", "convae-200", "--kernel", "5", "--transposed"],
            "--kernel, --transposed: only",
        ),
        (["--conv", "3x4x4", "--seconds", "-1"], "--seconds must be above 0 and at most 3,600"),
        (["--conv", "3x4x4", "--seconds", "nan"], "at most 3,600, got nan"),
        (["--conv", "3x3"], "--conv must be CxHxW, such as 128x64x64, got '3x3'"),
        (["--conv", "3x1x1", "--kernel", "4", "--transposed"], "transposed 3-3x1x1k4s1: "),
        (["--model", "convea-200"], "unknown model"),
    ],
)
def test_a_wrong_call_is_one_line(call, message, capsys):
    assert main(["bench", *call, "--batch", "1"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
