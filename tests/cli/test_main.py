"""The command line as a whole: exit status, one line of error, what stdout holds."""

import os
import subprocess
import sys

import click
import pytest

from convae_zoo import cli, errors


def run(*args, **environment):
    return subprocess.run(
        [sys.executable, "-m", "convae_zoo", *args],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_alone_it_prints_its_help():
    done = run()
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: convae-zoo")
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", ["list", "plugins", "show"])
def test_a_commands_help_has_an_example(name):
    done = run(name, "--help")
    assert done.returncode == 0
    assert f"Example: convae-zoo {name}" in done.stdout


def test_it_says_its_version():
    assert run("--version").stdout.strip() == "convae-zoo, version 0.1.0"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["lst"], "error: unknown command 'lst'; did you mean 'list'?"),
        (["--nope"], "error: No such option '--nope'; see 'convae-zoo --help'"),
        (["list", "--jsn"], "error: No such option '--jsn'"),
        (["show"], "error: Missing argument 'NAME'; see 'convae-zoo show --help'"),
        (["list", "models", "*", "more"], "error: Got unexpected extra argument"),
        (["show", "--kind", "loess", "mse"], "error: Invalid value for '--kind'"),
    ],
)
def test_a_wrong_call_is_one_line_on_stderr_and_exits_2(args, line):
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_debug_shows_the_traceback():
    done = run("--debug", "show", "nothing-of-that-name")
    assert "Traceback" in done.stderr
    assert "UnknownNameError" in done.stderr


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "convae_zoo", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_an_ascii_terminal_is_no_error():
    done = run("show", "convae-200", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (errors.DataError("no\nimages"), 1, "error: no images"),
        (errors.UsageError("wrong"), 2, "error: wrong"),
        (KeyboardInterrupt(), 1, "error: interrupted"),
        (click.exceptions.Abort(), 1, "error: interrupted"),
        (PermissionError(13, "Permission denied", "a/b"), 1, "error: Permission denied: a/b"),
        (OSError(28, "No space left on device"), 1, "error: No space left on device"),
        (
            RuntimeError("odd"),
            1,
            "error: RuntimeError: odd (a fault of the zoo or of a plugin; --debug shows where)",
        ),
        (SystemExit(3), 3, ""),
    ],
)
def test_every_error_is_one_line_and_a_status(monkeypatch, capsys, error, status, line):
    def fail(_):
        raise error

    monkeypatch.setattr(cli.cli, "invoke", fail)
    assert cli.main(["list"]) == status
    printed = capsys.readouterr().err.lstrip("\n")  # click starts a line below a terminal's ^C
    assert printed == (f"{line}\n" if line else "")
