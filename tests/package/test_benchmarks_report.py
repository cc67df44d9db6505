"""The report of the benchmarks: tables, a chart, and a comparison that finds what became slower."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def saved(path, medians, spread=0.01, who="ours"):
    records = [
        {
            "name": f"test_case[{name}-{who}]",
            "fullname": f"benchmarks/test_x.py::test_case[{name}-{who}]",
            "group": "core",
            "stats": {
                "min": m * (1 - spread),
                "q1": m * (1 - spread),
                "median": m,
                "q3": m * (1 + spread),
                "rounds": 9,
            },
            "extra_info": {
                "who": who,
                "device": "cpu",
                "device_name": "some CPU",
                "threads": 2,
                "torch": "2.11",
                "precision": "bf16",
                "images_per_second": 64 / m,
                "gflop_per_second": 1 / m,
                "matmul_peak": 1000.0,
                "share_of_peak": 1 / m / 1000,
            },
        }
        for name, m in medians.items()
    ]
    path.write_text(json.dumps({"machine_info": {"cpu": "some CPU"}, "benchmarks": records}))
    return path


def report(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.report", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_a_slowdown_is_named_and_is_the_exit_status(tmp_path):
    old = saved(tmp_path / "old.json", {"a": 0.010, "b": 0.010, "c": 0.010})
    new = saved(tmp_path / "new.json", {"a": 0.010, "b": 0.013, "c": 0.009})
    done = report("--compare", old, new)
    assert done.returncode == 1, done.stderr
    first, last = done.stdout.strip().splitlines()
    assert first == "slower by 30%: benchmarks/test_x.py::test_case[b-ours]"
    assert last == "1 of 3 became slower beyond the noise"


@pytest.mark.parametrize(
    ("medians", "spread"),
    [({"a": 0.0102}, 0.001), ({"a": 0.0115}, 0.2), ({"a": 0.005}, 0.01), ({"z": 9.0}, 0.01)],
    ids=["within 5%", "within the quartiles", "faster", "not in both"],
)
def test_what_is_noise_or_faster_or_new_is_no_slowdown(medians, spread, tmp_path):
    old = saved(tmp_path / "old.json", {"a": 0.010}, spread)
    done = report("--compare", old, saved(tmp_path / "new.json", medians, spread))
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_planted_slowdown_is_found_by_really_measuring(tmp_path):
    """The same benchmark is run twice, the second time with a sleep in what it measures."""
    test = tmp_path / "test_planted.py"
    test.write_text(
        textwrap.dedent(
            """
            import os, time, torch
            from benchmarks.interleaved import time_interleaved

            def test_planted(benchmark):
                sleep = float(os.environ["PLANTED"])
                work = {"ours": lambda: time.sleep(0.01 + sleep)}
                seconds = time_interleaved(work, torch.device("cpu"), 0.2)["ours"].seconds
                benchmark.extra_info["who"] = "ours"
                benchmark.pedantic(work["ours"], rounds=len(seconds))
            """
        )
    )
    # Where pytest-xdist's name is in the environment, pytest-benchmark does not measure.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    for name, planted in (("old", "0"), ("slow", "0.05")):
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                str(test),
                "-q",
                "-p",
                "no:cacheprovider",
                f"--benchmark-json={tmp_path / name}.json",
                f"--rootdir={tmp_path}",
            ],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={**inherited, "PLANTED": planted, "PYTHONPATH": str(ROOT)},
        )
    slow = report("--compare", tmp_path / "old.json", tmp_path / "slow.json")
    assert slow.returncode == 1
    assert "test_planted" in slow.stdout


def test_tables_and_a_chart_show_ours_beside_pytorchs(tmp_path):
    ours = saved(tmp_path / "ours.json", {"a": 0.010})
    both = json.loads(ours.read_text())
    plain = json.loads(saved(tmp_path / "plain.json", {"a": 0.020}, who="pytorch").read_text())
    both["benchmarks"] += plain["benchmarks"]
    ours.write_text(json.dumps(both))
    done = report(ours, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "| case[a] | ours | 10.000 | 6,400 | 100 | 10% | 2.00× |" in done.stdout
    assert (tmp_path / "out" / "report.md").read_text() in done.stdout
    assert (tmp_path / "out" / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", [None, "{}", "not json", '{"benchmarks": [{}]}'])
def test_a_wrong_file_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    done = report(path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
