"""No command overwrites what it reads or, unasked, a file; two never write one output at once."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.files import claim_output


@pytest.fixture
def place(tmp_path):
    """A folder with a model's file, a folder of images and one image below it."""
    torch.manual_seed(0)
    settings = {"image_size": 16, "width": 8, "latent_dim": 6}
    (tmp_path / "r").mkdir()
    model = zoo.create_model("variational-200", **settings)
    zoo.save_model(model, tmp_path / "r" / "model.safetensors")
    (tmp_path / "img").mkdir()
    draw = np.random.default_rng(0)
    for index in range(12):
        pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "img" / f"{index:02}.png")
    return tmp_path


MODEL, IMAGE, FOLDER = "r/model.safetensors", "img/01.png", "img"
DATA = ("--dataset", "image-folder", "--data", FOLDER)

OVERWRITING = {
    "export": ("export", MODEL, "--format", "torch-export", "--out", MODEL),
    "export, of a run": ("export", "r", "--format", "torch-export", "--out", MODEL),
    "compare": ("compare", MODEL, *DATA, "--out", IMAGE),
    "leaderboard": ("leaderboard", MODEL, *DATA, "--out", IMAGE),
    "reconstruct": ("reconstruct", MODEL, IMAGE, "--out", IMAGE),
    "reconstruct, the folder": ("reconstruct", MODEL, FOLDER, "--overwrite", "--out", FOLDER),
    "encode, the model": ("encode", MODEL, FOLDER, "--overwrite", "--out", MODEL),
    "encode, an image": ("encode", MODEL, FOLDER, "--overwrite", "--out", IMAGE),
}


def absolute(call, place):
    """Turn the paths of a call into absolute ones; the command's name stays."""
    return [str(place / a) if a in {MODEL, IMAGE, FOLDER, "r"} or "." in a else a for a in call]


@pytest.mark.parametrize("call", OVERWRITING.values(), ids=OVERWRITING)
def test_an_output_that_the_command_reads_is_refused(run, place, call):
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    status, out, err = run(*absolute(call, place))
    assert (status, out) == (2, "")
    assert "is an input of this command; choose another --out" in err
    assert err.count("\n") == 1
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before


WRITING = {
    "export": ("export", MODEL, "--format", "torch-export", "--out", "new.pt2"),
    "compare": ("compare", MODEL, *DATA, "--out", "new.png"),
    "leaderboard": ("leaderboard", MODEL, *DATA, "--out", "new.png"),
    "reconstruct": ("reconstruct", MODEL, IMAGE, "--out", "new.png"),
    "sample": ("sample", MODEL, "--out", "new.png"),
    "encode": ("encode", MODEL, FOLDER, "--out", "new.latents"),
}


@pytest.mark.parametrize("call", WRITING.values(), ids=WRITING)
def test_a_second_command_with_the_same_output_names_the_holder(run, place, call):
    call = absolute(call, place)
    with claim_output(call[-1]):
        status, out, err = run(*call)
    assert (status, out) == (2, "")
    assert f"is being written by process {os.getpid()} on " in err
    assert err.count("\n") == 1
    assert {p.name for p in place.iterdir()} == {"r", "img"}


DETECT = ("detect", "fit", MODEL, "--no-train", "--score", "reconstruction", "--alarm-rate", "0.3")
TAKEN = {
    **WRITING,
    "detect fit": (*DETECT, "--data", FOLDER, "--out", "new.safetensors"),
    "detect evaluate": ("detect", "evaluate", MODEL, *DATA, "--out", "new"),
    "bench": ("bench", "--conv", "3x4x4", "--out", "new.json"),
    "gallery": ("gallery", "--no-measure", "--out", "new"),
    "pull": ("pull", "convae-200.photos", "--out", "new.safetensors"),
}


@pytest.mark.parametrize("call", TAKEN.values(), ids=TAKEN)
def test_an_existing_file_is_refused_without_overwrite(run, place, monkeypatch, call):
    monkeypatch.chdir(place)
    out = place / call[-1]
    taken = [out] if out.suffix else [out / "misses.png", out / "index.html"]
    for path in taken:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    status, printed, err = run(*call)
    assert (status, printed) == (2, "")
    assert "already exists; choose another --out, or pass --overwrite" in err
    assert err.count("\n") == 1
    assert {path.read_text() for path in taken} == {"mine"}


SHORT = ("sample", "export", "compare")


@pytest.mark.parametrize("call", [WRITING[name] for name in SHORT], ids=SHORT)
def test_an_existing_file_is_replaced_with_overwrite(run, place, call):
    call = absolute(call, place)
    (place / call[-1]).write_text("mine")
    assert run(*call, "--overwrite")[0] == 0
    assert b"mine" not in (place / call[-1]).read_bytes()


FULL_DISK = """
import resource, signal, sys
from convae_zoo.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_full_disk_does_not_abort_an_export(place):
    call = absolute(("export", MODEL, "--format", "torch-export", "--out", "new.pt2"), place)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *call], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: cannot write {call[-1]}: File too large\n"
    assert {p.name for p in place.iterdir()} == {"r", "img"}
