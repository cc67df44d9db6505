"""The report of the benchmarks: tables and a chart."""

import json
import subprocess
import sys
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
