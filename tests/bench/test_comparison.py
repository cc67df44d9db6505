"""A comparison finds a slowdown of 10% and never calls equal code slower."""

import json

import numpy as np
import pytest

from convae_zoo.bench.comparison import compare, hardware
from convae_zoo.bench.document import read
from convae_zoo.cli import main
from convae_zoo.errors import DataError, UsageError


def row(name, seconds, *, disturbed=False, with_data=True):
    q1, median, q3 = np.quantile(seconds, (0.25, 0.5, 0.75))
    stats = {"min": min(seconds), "q1": q1, "median": median, "q3": q3, "rounds": len(seconds)}
    data = {"data": list(seconds)} if with_data else {}
    info = {"disturbed": disturbed, "device_name": "a CPU", "threads": 2, "torch": "2.11"}
    return {"fullname": name, "stats": stats | data, "extra_info": info}


def noisy(draw, base, rounds=60):
    """Draw rounds with 3% of noise, 3% that all rounds of a run share, and a few long ones."""
    seconds = base * (1 + 0.03 * draw.random()) * (1 + 0.03 * draw.exponential(size=rounds))
    return seconds * np.where(draw.random(rounds) < 0.05, 3, 1)


@pytest.mark.parametrize("with_data", [True, False])
def test_equal_code_is_never_slower_and_a_slowdown_of_10_percent_is_found(with_data):
    draw = np.random.default_rng(0)
    names = [str(n) for n in range(200)]
    runs = [
        [row(n, noisy(draw, factor), with_data=with_data) for n in names]
        for factor in (1.0, 1.0, 1.12)
    ]
    same, slow = compare(runs[0], runs[1]), compare(runs[0], runs[2])
    assert {each.verdict for each in same} == {"equal"}
    found = sum(each.verdict == "slower" for each in slow)
    assert found >= (190 if with_data else 100)
    back = compare(runs[2], runs[0])
    assert sum(each.verdict == "faster" for each in back) == found


def test_a_disturbed_row_gets_no_verdict_and_rows_of_one_file_are_left_out():
    old = [row("a", [1.0] * 9), row("b", [1.0] * 9), row("c", [1.0] * 9)]
    new = [row("a", [2.0] * 9, disturbed=True), row("b", [2.0] * 9), row("d", [9.0] * 9)]
    assert [(v.name, v.verdict) for v in compare(old, new)] == [("a", "disturbed"), ("b", "slower")]


@pytest.fixture
def files(tmp_path):
    from convae_zoo.bench.document import write

    def saved(name, seconds, device="a CPU"):
        record = row("conv", seconds)
        record["extra_info"]["device_name"] = device
        write({"benchmarks": [record]}, tmp_path / name)
        return str(tmp_path / name)

    return saved


def test_the_command_exits_1_for_a_slowdown_and_names_it(files, capsys):
    old, new = files("old.json", [1.0] * 9), files("new.json", [1.3] * 9)
    assert main(["bench", "compare", old, new]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "slower, 1.30 times the time: conv" in lines
    assert lines[-1] == "1 of 1 became slower beyond the spread of their rounds"
    assert main(["bench", "compare", new, old]) == 0


def test_different_hardware_is_said_first_and_is_no_slowdown(files, capsys):
    old, new = files("old.json", [1.0] * 9), files("new.json", [1.3] * 9, "another CPU")
    assert main(["bench", "compare", old, new]) == 0
    first, second, third, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("different hardware")
    assert "a CPU" in second
    assert "another CPU" in third
    assert hardware(read(old)) == "a CPU, 2 threads, torch 2.11"


def test_files_without_a_common_row_are_not_compared():
    with pytest.raises(UsageError, match="have no row in common"):
        compare([row("a", [1.0] * 9)], [row("b", [1.0] * 9)])


NO_TIME = {**row("a", [1.0] * 9), "stats": {"min": 0, "q1": 0, "median": 0, "q3": 0}}
NO_ROUNDS = {**NO_TIME, "stats": {"min": 1, "q1": 1, "median": 1, "q3": 1, "data": []}}


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{}",
        "not json",
        '{"benchmarks": [{}]}',
        json.dumps({"benchmarks": [NO_TIME]}),
        json.dumps({"benchmarks": [NO_ROUNDS]}),
        json.dumps({"benchmarks": [{**row("a", [1.0] * 9), "extra_info": "none"}]}),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"cannot read|is no results file"):
        read(path)
