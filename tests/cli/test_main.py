"""The command line as a whole: exit status, one line of error, what stdout holds."""

import json
import os
import re
import subprocess
import sys

import click
import pytest
import torch
from PIL import Image

from convae_zoo import LossSpec, cli, errors, hookimpl, registry


def run(*args, **environment):
    return subprocess.run(
        [sys.executable, "-m", "convae_zoo", *args],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_a_command_it_prints_its_help():
    done = run()
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: convae-zoo")
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", ["list", "plugins", "show"])
def test_a_commands_help_has_an_example(name):
    done = run(name, "--help")
    assert done.returncode == 0
    assert f"Example: convae-zoo {name}" in done.stdout


def test_it_prints_its_version():
    assert run("--version").stdout.strip() == "convae-zoo, version 0.1.0"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["lst"], "error: unknown command 'lst'; did you mean 'list'?"),
        (
            ["train", "convae-200", "--loss"],
            "error: Option '--loss' requires an argument; see --help",
        ),
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


def test_a_closed_pipe_is_no_error():
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
            "error: RuntimeError: odd (a bug in the zoo or in a plugin; --debug shows where)",
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


def closed(*args):
    """Run a command whose stdout is closed."""
    return subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "convae_zoo", *args],
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("args", [["list"], ["plugins", "--json"]])
def test_with_stdout_closed_the_exit_status_is_kept(args):
    done = closed(*args)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_run_with_stdout_closed_ends_with_status_0(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(10):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(pictures / f"{number}.png")
    sets = [f"--set={s}" for s in ("width=2", "latent_dim=4", "image_size=8")]
    data = ["--dataset", "image-folder", "--data", str(pictures), "--device", "cpu"]
    out = tmp_path / "run"
    done = closed("train", "convae-200", *sets, *data, "--epochs", "1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert (out / "model.safetensors").exists()


class LoudPlugin:
    """Prints whenever its code runs."""

    @hookimpl
    def register_losses(self, register):
        print("in the hook")
        register(LossSpec(name="loud", factory=loud))


def loud():
    print("in the factory")
    return torch.nn.MSELoss()


def test_json_is_one_document_whatever_a_plugin_prints(capsys):
    with registry.override(plugins=[LoudPlugin()]):
        assert cli.main(["verify", "loud", "--property", "loss-scalar", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["results"][0]["status"] == "passed"
    assert {"in the hook", "in the factory"} <= set(captured.err.splitlines())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("beta=1" + 400 * "0", "beta must be a number"),
        ("width=1" + 5000 * "0", "width: the value is too long"),
        ("width=" + 100_000 * "[", "width: the value is too long"),
    ],
)
def test_a_value_that_cannot_be_parsed_is_refused_in_one_short_line(
    setting, message, capsys, tmp_path
):
    model = "variational-200" if "beta" in setting else "convae-200"
    call = ["train", model, "--dataset", "photos", "--out", str(tmp_path / "run")]
    assert cli.main([*call, "--set", setting]) == 2
    captured = capsys.readouterr()
    assert re.fullmatch(rf"error: .*{message}.*\n", captured.err)
    assert len(captured.err) < 300


def test_control_characters_of_a_message_do_not_reach_the_terminal(capsys, monkeypatch):
    def fail(_):
        raise errors.DataError("model '\x1b[31mred\x07' is\nunknown")

    monkeypatch.setattr(cli.cli, "invoke", fail)
    cli.main(["list"])
    assert capsys.readouterr().err == "error: model '\\x1b[31mred\\x07' is unknown\n"
