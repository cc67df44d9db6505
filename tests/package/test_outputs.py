"""An output is never an input, and one process at a time writes it."""

import os
import signal
import subprocess
import sys

import pytest

from convae_zoo.errors import FileError, UsageError
from convae_zoo.files import check_new, check_output, claim_output


def test_an_output_that_is_an_input_is_refused_under_every_name(tmp_path):
    (tmp_path / "in").mkdir()
    given = tmp_path / "in" / "a.png"
    given.write_text("mine")
    (tmp_path / "link.png").symlink_to(given)
    os.link(given, tmp_path / "hard.png")
    for name in ("in/a.png", "in/../in/a.png", "link.png", "hard.png"):
        with pytest.raises(UsageError, match=r"is an input of this command; choose another --out"):
            check_output(tmp_path / name, [tmp_path / "gone.png", given])
    check_output(tmp_path / "in" / "b.png", [given])


def test_a_file_of_an_input_folder_is_not_overwritten_but_a_new_one_is_made(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_text("mine")
    with pytest.raises(UsageError, match=r"a file of the folder .* an input"):
        check_output(tmp_path / "deep" / "a.png", [tmp_path])
    check_output(tmp_path / "deep" / "new.png", [tmp_path])


def test_existing_files_are_refused_and_counted_unless_they_may_be_replaced(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    check_new(paths)
    paths[1].write_text("mine")
    with pytest.raises(UsageError, match=r"b\.png already exists; choose .*, or pass --overwrite"):
        check_new(paths)
    paths[2].symlink_to("gone")
    with pytest.raises(UsageError, match=r"b\.png and 1 more already exist; choose another --out"):
        check_new(paths)
    check_new(paths, overwrite=True)
    paths[0].mkdir()
    with pytest.raises(UsageError, match=r"a\.png is a folder; name a file"):
        check_new(paths, overwrite=True)


@pytest.mark.parametrize("name", ["a\0b.png", "a\ud800.png"])
def test_an_invalid_path_is_refused_in_one_line(tmp_path, name):
    with pytest.raises(FileError, match="not a valid file name"):
        check_output(tmp_path / name)
    with pytest.raises(FileError, match="not a valid file name"), claim_output(name):
        pass


def test_a_second_claim_says_who_holds_the_output_and_nothing_is_left_behind(tmp_path):
    with claim_output(tmp_path / "a.png"):
        with pytest.raises(UsageError) as caught, claim_output(tmp_path / "." / "a.png"):
            pass
        assert f"a.png is being written by process {os.getpid()} on " in str(caught.value)
        with claim_output(tmp_path / "b.png"):
            pass
    with claim_output(tmp_path / "a.png"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_made_and_removed_again_if_it_stays_empty(tmp_path):
    out = tmp_path / "new" / "deep" / "a.png"
    with pytest.raises(KeyError), claim_output(out):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with claim_output(out):
        out.write_text("kept")
    assert [p.name for p in out.parent.iterdir()] == ["a.png"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "a.png"
    told = pytest.raises(FileError, match=r"cannot write .*a.png: Not a directory")
    with told, claim_output(out):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, time; from convae_zoo.files import claim_output\n"
        "with claim_output(sys.argv[1]):\n    print('held', flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.png"], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    told = pytest.raises(UsageError, match=f"by process {holder.pid} on ")
    with told, claim_output(tmp_path / "a.png"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with claim_output(tmp_path / "a.png"):
        pass
    assert list(tmp_path.iterdir()) == []


RACE = """
import pathlib, sys, time
from convae_zoo.errors import UsageError
from convae_zoo.files import claim_output
out, won = pathlib.Path(sys.argv[1]), 0
stop = time.monotonic() + 1.5
while time.monotonic() < stop:
    try:
        with claim_output(out):
            (out.parent / "inside").mkdir()  # fails where another is inside
            (out.parent / "inside").rmdir()
            won += 1
    except UsageError:
        pass
print(won)
"""


def test_processes_that_race_for_an_output_are_never_inside_together(tmp_path):
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, tmp_path / "a.png"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    done = [process.communicate(timeout=60) for process in racing]
    assert all(err == "" for _, err in done)
    assert all(int(out) > 0 for out, _ in done)
    assert list(tmp_path.iterdir()) == []
