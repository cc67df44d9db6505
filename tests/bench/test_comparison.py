"""A comparison finds a slowdown of 10% and never calls equal code slower."""

import json

import numpy as np
import pytest

from convae_zoo.bench.comparison import compare, compare_runs, hardware
from convae_zoo.bench.document import read
from convae_zoo.cli import main
from convae_zoo.errors import DataError, UsageError


def row(name, seconds, *, disturbed=False, with_data=True, reference=None):
    q1, median, q3 = np.quantile(seconds, (0.25, 0.5, 0.75))
    stats = {"min": min(seconds), "q1": q1, "median": median, "q3": q3, "rounds": len(seconds)}
    data = {"data": list(seconds)} if with_data else {}
    info = {"disturbed": disturbed, "device_name": "a CPU", "threads": 2, "torch": "2.11"}
    info |= {} if reference is None else {"reference_seconds": reference}
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


@pytest.mark.parametrize("drift", [0.85, 1.0, 1.2])
def test_the_reference_tells_a_slower_machine_from_slower_code(drift):
    draw = np.random.default_rng(0)
    names = [str(n) for n in range(50)]
    old = [row(n, noisy(draw, 1.0), reference=0.01) for n in names]
    same = [row(n, noisy(draw, drift), reference=0.01 * drift) for n in names]
    slow = [row(n, noisy(draw, 1.12 * drift), reference=0.01 * drift) for n in names]
    assert {each.verdict for each in compare(old, same)} == {"equal"}
    found = "slower" if drift >= 1 else "disturbed"  # a faster machine hides it
    assert sum(each.verdict == found for each in compare(old, slow)) >= 45
    assert compare(old, slow)[0].ratio == pytest.approx(1.12, abs=0.06)
    assert {each.verdict for each in compare(old, [row(n, noisy(draw, 1.2)) for n in names])} == {
        "slower"
    }


def test_a_disturbed_row_gets_no_verdict_and_rows_of_one_file_are_left_out():
    old = [row("a", [1.0] * 9), row("b", [1.0] * 9), row("c", [1.0] * 9)]
    new = [row("a", [2.0] * 9, disturbed=True), row("b", [2.0] * 9), row("d", [9.0] * 9)]
    assert [(v.name, v.verdict) for v in compare(old, new)] == [("a", "disturbed"), ("b", "slower")]


def runs(draw, factor, drift, noise):
    """Draw the documents of runs: 100 rows, slowed by `drift` together and by `noise` each."""
    shape = (len(drift), 100)
    quartiles = factor * drift[:, None] * np.exp(noise * draw.standard_normal(shape))
    return [
        {"benchmarks": [row(str(n), [q] * 5) for n, q in enumerate(quartiles_of_run)]}
        for quartiles_of_run in quartiles
    ]


@pytest.mark.parametrize(("noise", "verdicts"), [(0.005, {"equal"}), (0.2, {"disturbed"})])
def test_runs_in_turns_of_equal_code_are_not_slower_whatever_the_noise(noise, verdicts):
    draw = np.random.default_rng(0)
    for _ in range(5):
        drift = np.exp(0.3 * draw.standard_normal(6))
        same = compare_runs(runs(draw, 1, drift, noise), runs(draw, 1, drift, noise))
        assert {each.verdict for each in same} == verdicts


def test_runs_in_turns_find_a_slowdown_of_10_percent_on_a_machine_whose_speed_drifts():
    draw = np.random.default_rng(0)
    drift = np.exp(0.3 * draw.standard_normal(6))
    old, new = runs(draw, 1, drift, 0.005), runs(draw, 1.1, drift, 0.005)
    assert {v.verdict for v in compare_runs(old, new)} == {"slower"}
    assert {v.verdict for v in compare_runs(new, old)} == {"faster"}
    assert compare_runs(old, new)[0].ratio == pytest.approx(1.1, abs=0.03)


def test_runs_in_turns_whose_drifts_differ_are_compared_by_the_reference():
    draw = np.random.default_rng(0)

    def drifting(factor):
        documents = runs(draw, factor, np.ones(6), 0.005)
        for document in documents:
            drift = np.exp(0.3 * draw.standard_normal())
            for record in document["benchmarks"]:
                record["stats"]["q1"] *= drift
                record["extra_info"]["reference_seconds"] = 0.01 * drift
        return documents

    old = drifting(1)
    assert {v.verdict for v in compare_runs(old, drifting(1))} == {"equal"}
    assert {v.verdict for v in compare_runs(old, drifting(1.1))} == {"slower"}


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03, 0.05, 0.1])
def test_slower_runs_are_never_called_equal(noise):
    draw = np.random.default_rng(0)
    for _ in range(5):
        old, new = (runs(draw, factor, np.ones(8), noise) for factor in (1, 1.1))
        assert "equal" not in {each.verdict for each in compare_runs(old, new)}


def test_a_run_that_was_disturbed_is_left_out_and_four_pairs_are_needed():
    def documents(seconds, disturbed=()):
        return [
            {"benchmarks": [row("a", [s + i / 1e4] * 5, disturbed=i in disturbed)]}
            for i, s in enumerate(seconds)
        ]

    old = documents([1.0] * 6)
    two, three = documents([1.0] * 4 + [9.0] * 2, {4, 5}), documents([9.0] * 6, {1, 3, 5})
    assert [compare_runs(old, new)[0].verdict for new in (two, three)] == ["equal", "disturbed"]


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


def test_two_files_take_no_case_and_a_folder_without_source_is_no_checkout(files, tmp_path, capsys):
    one = files("one.json", [1.0] * 9)
    for call, message in (
        ([one, one, "--model", "convae-200"], "--model: only with two folders"),
        ([str(tmp_path), str(tmp_path)], "pass either --conv CxHxW or --model NAME"),
        ([str(tmp_path), str(tmp_path), "--model", "convae-200"], "is no checkout of convae_zoo"),
    ):
        assert main(["bench", "compare", *call]) == 2
        assert message in capsys.readouterr().err


def test_options_that_a_comparison_would_ignore_are_refused(files, tmp_path, capsys):
    one = files("one.json", [1.0] * 9)
    ignored = ("--batch", "8", "--seconds", "1.0", "--rounds", "8", "--transposed")
    out = tmp_path / "out.json"
    for call, message in (
        (["compare", one, one, *ignored], "--transposed, --batch, --seconds, --rounds: only with"),
        (["--out", str(out), "compare", one, one], "--out before compare would be ignored"),
    ):
        assert main(["bench", *call]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


CHECKOUT = """
import json, sys
from pathlib import Path

out = next(a.removeprefix("--out=") for a in sys.argv if a.startswith("--out="))
turns = Path(__file__).parents[2] / "turns"
with turns.open("a") as file:
    file.write(Path(__file__).parents[1].name + " ")
count = len(turns.read_text().split())
seconds = SECONDS * (1 + count / 1000)
stats = dict.fromkeys(("min", "q1", "median", "q3"), seconds)
info = {"device_name": "a CPU", "threads": 2, "torch": "2.11"}
row = {"fullname": " ".join(sys.argv[1:-1]), "stats": stats, "extra_info": info}
Path(out).write_text(json.dumps({"benchmarks": [row]}))
"""


def test_two_checkouts_run_their_own_code_in_turns(tmp_path, capsys):
    for name, seconds in (("old", 1.0), ("new", 1.3)):
        package = tmp_path / name / "convae_zoo"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(CHECKOUT.replace("SECONDS", str(seconds)))
    call = ["bench", "compare", str(tmp_path / "old"), str(tmp_path / "new"), "--rounds", "4"]
    assert main([*call, "--conv", "3x8x8", "--batch", "1", "--batch", "2", "--transposed"]) == 1
    assert (tmp_path / "turns").read_text().split() == ["old", "new", "new", "old"] * 2
    arguments = (
        "bench --conv=3x8x8 --kernel=3 --stride=1 --seconds=1.0 --device=auto --batch=1 --batch=2 "
        "--transposed"
    )
    assert f"slower, 1.30 times the time: {arguments}" in capsys.readouterr().out.splitlines()


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
        json.dumps({"benchmarks": [row("a", [1.0] * 9, reference="fast")]}),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"cannot read|is no results file"):
        read(path)
