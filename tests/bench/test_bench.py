"""`convae-zoo bench`: rows, limits and files, on small shapes."""

import itertools
import json
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


def test_a_model_is_timed_forward_and_backward(capsys):
    call = ["bench", "--model", "convae-200.photos", "--batch", "1", "--seconds", "0.01"]
    assert main(call) == 0
    printed = capsys.readouterr().out
    assert "convae-200 batch 1 bf16 channels_last backward ours" in printed


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


def test_disturbed_rounds_are_repeated_and_marked_if_no_attempt_is_steady(monkeypatch):
    restless, steady = [9, 1, 1, 2, 2, 2], [9, 1, 1, 1, 1, 5]  # the warm-up, then five rounds

    monkeypatch.setattr(timing, "_involuntary_switches", lambda: 0)

    def timed(*attempts):
        seconds = iter([s for attempt in attempts for s in attempt])
        monkeypatch.setattr(timing, "_time", lambda *_: next(seconds))
        found = timing.time_until_stable({"work": lambda: None}, CPU, 0)["work"]
        assert next(seconds, None) is None
        return found

    assert timed(restless, steady).seconds == steady[1:]
    assert not timed(steady).is_disturbed
    assert timed(restless, [9, 1, 1, 3, 3, 3], restless).is_disturbed
    switches = itertools.count(step=100)
    monkeypatch.setattr(timing, "_involuntary_switches", lambda: next(switches))
    assert timed(steady, steady, steady).is_disturbed


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
