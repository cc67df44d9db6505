"""Bulk encoding: equal to the model's own, restartable, flat in memory."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import convae_zoo as zoo
from convae_zoo.cli import main
from convae_zoo.data.listing import find_images
from convae_zoo.errors import DataError, FileError, UsageError
from convae_zoo.tasks.compress import encode, encode_files
from latent_files import encoded, names_in, write_images

COUNT = 50


def test_latents_are_the_models_own(weights, folder, tmp_path):
    out = tmp_path / "z.safetensors"
    assert encoded(weights, folder, out).count == COUNT
    model, names = zoo.load_model(weights), names_in(out)
    assert len(names) == COUNT
    assert "more/00001.png" in names
    with torch.no_grad():
        expected = model.encode(model.preprocess([folder / name for name in names]))
    torch.testing.assert_close(load_file(out)["latents"], expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_half_the_size_and_near(weights, folder, tmp_path):
    encoded(weights, folder, tmp_path / "32.safetensors")
    encoded(weights, folder, tmp_path / "16.safetensors", dtype="fp16")
    full, half = (load_file(tmp_path / f"{n}.safetensors")["latents"] for n in (32, 16))
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), full, rtol=1e-3, atol=1e-3)


def test_many_parts_equal_one(weights, folder, tmp_path, monkeypatch):
    encoded(weights, folder, tmp_path / "one.safetensors")
    monkeypatch.setattr(encode, "PART", 7)
    encoded(weights, folder, tmp_path / "many.safetensors")
    one, many = (load_file(tmp_path / f"{n}.safetensors") for n in ("one", "many"))
    torch.testing.assert_close(one["latents"], many["latents"])
    assert names_in(tmp_path / "one.safetensors") == names_in(tmp_path / "many.safetensors")
    assert not (tmp_path / "many.safetensors.parts").exists()


def test_what_cannot_be_read_is_named_counted_and_skipped(weights, tmp_path, capsys):
    root = tmp_path / "mixed"
    write_images(root, 4)
    (root / "00001x.png").write_bytes(b"no image")
    out = tmp_path / "z.safetensors"
    assert main(["encode", str(weights), str(root), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert f"skipped: {root / '00001x.png'} is not an image" in said.err
    assert said.out.startswith("4 latents, 1 skipped")
    assert "00001x.png" not in names_in(out)


def test_a_latents_file_that_is_there_is_not_replaced_unasked(weights, folder, tmp_path):
    out = tmp_path / "z.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(UsageError, match="already exists"):
        encoded(weights, folder, out)
    assert out.read_bytes() == b"mine"
    assert encoded(weights, folder, out, overwrite=True).count == COUNT


def test_parts_of_other_images_are_not_taken_over(weights, tmp_path, monkeypatch):
    root = tmp_path / "images"
    write_images(root, 10)
    monkeypatch.setattr(encode, "PART", 4)
    stop_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        encoded(weights, root, tmp_path / "z.safetensors")
    Image.new("RGB", (8, 8)).save(root / "00000.png")
    assert encoded(weights, root, tmp_path / "z.safetensors").reused_parts == 0


def stop_after(monkeypatch, parts):
    whole, done = encode._encode_part, []

    def stopping(*args):
        if len(done) == parts:
            monkeypatch.setattr(encode, "_encode_part", whole)
            raise KeyboardInterrupt
        done.append(1)
        whole(*args)

    monkeypatch.setattr(encode, "_encode_part", stopping)


def test_a_second_start_repeats_no_finished_part(weights, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "PART", 8)
    encoded(weights, folder, tmp_path / "whole.safetensors")
    stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        encoded(weights, folder, tmp_path / "z.safetensors")
    assert encoded(weights, folder, tmp_path / "z.safetensors").reused_parts == 3
    whole, ours = ((tmp_path / f"{n}.safetensors").read_bytes() for n in ("whole", "z"))
    assert ours == whole


def in_process(code, *arguments):
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )


FULL_DISK = """
import resource, signal, sys
from convae_zoo.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_full_disk_keeps_the_finished_parts(weights, tmp_path):
    """The joined file is too large for the disk: one line, exit 1, and the parts stay."""
    write_images(tmp_path / "images", 2200)
    out = tmp_path / "z.safetensors"
    arguments = ["encode", weights, tmp_path / "images", "--out", out]
    done = in_process(FULL_DISK, *arguments)
    assert done.returncode == 1
    assert re.fullmatch(r"error: cannot write .*: File too large\n", done.stderr)
    assert not out.exists()
    parts = sorted(p.name for p in (tmp_path / "z.safetensors.parts").glob("part-*"))
    assert parts == [f"part-{n:06}.safetensors" for n in range(3)]
    assert main([str(a) for a in arguments]) == 0
    assert load_file(out)["latents"].shape == (2200, 16)


MEMORY = """
import sys, torch
from memory import resident
torch.set_num_threads(1)
from convae_zoo.cli import main
status = main(sys.argv[1:])
print(resident("VmHWM"))
sys.exit(status)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_folder(weights, tmp_path):
    """Ten times the images, by links to the same few files, take no more than 1.2 times."""
    few = int(os.environ.get("CONVAE_ZOO_TEST_IMAGES", "2000"))
    write_images(tmp_path / "source", 10)
    source = sorted((tmp_path / "source").glob("*.png"))
    peaks = []
    for count in (few, 10 * few):
        folder = tmp_path / str(count)
        folder.mkdir()
        for index in range(count):
            os.link(source[index % len(source)], folder / f"{index:06}.png")
        done = in_process(
            MEMORY, "encode", weights, folder, "--out", tmp_path / f"{count}.safetensors"
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
    print(f"peak memory {peaks[0] / 2**20:.0f} MiB for {few}, {peaks[1] / 2**20:.0f} for ten times")
    assert peaks[1] <= 1.2 * peaks[0], peaks


@pytest.mark.slow
def test_a_killed_encode_goes_on_and_ends_as_an_undisturbed_one(weights, tmp_path):
    write_images(tmp_path / "images", 6000)
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    command = [sys.executable, "-m", "convae_zoo", "encode", str(weights), str(tmp_path / "images")]
    subprocess.run([*command, "--out", str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, "--out", str(killed)], stdout=subprocess.DEVNULL)
    first = tmp_path / "killed.safetensors.parts" / "part-000000.safetensors"
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    before = first.stat().st_mtime_ns
    again = subprocess.Popen([*command, "--out", str(killed)], stdout=subprocess.DEVNULL)
    later = tmp_path / "killed.safetensors.parts" / "part-000002.safetensors"
    while not later.exists() and again.poll() is None:
        time.sleep(0.01)
    if first.exists():
        assert first.stat().st_mtime_ns == before
    assert again.wait() == 0
    assert killed.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_processes_under_torchrun_share_the_work(weights, folder, tmp_path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    encoded(weights, folder, one)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", "-m", "convae_zoo", "encode", str(weights), str(folder)]
    done = subprocess.run(
        [*command, "--device", "cpu", "--out", str(two)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("latents") == 1
    torch.testing.assert_close(load_file(two)["latents"], load_file(one)["latents"])
    assert names_in(two) == names_in(one)


def test_an_output_that_cannot_be_written_is_one_line(weights, folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*: Not a directory"):
        encoded(weights, folder, tmp_path / "file" / "z.safetensors")


def test_a_second_encode_into_one_file_says_who_holds_it(weights, folder, tmp_path, monkeypatch):
    """Two at once mixed their parts, with status 0."""
    out, whole, told = tmp_path / "z.safetensors", encode._encode_part, []

    def meanwhile(*args):
        monkeypatch.setattr(encode, "_encode_part", whole)
        with pytest.raises(UsageError) as caught:
            encoded(weights, folder, out)
        told.append(str(caught.value))
        whole(*args)

    monkeypatch.setattr(encode, "_encode_part", meanwhile)
    assert encoded(weights, folder, out).count == COUNT
    assert told[0].startswith(f"{out} is being written by process {os.getpid()} on ")


@pytest.mark.parametrize("content", [{"mine.txt": "mine"}, {"plan.json": "[1]"}, None])
def test_a_folder_of_parts_that_is_the_users_is_not_touched(weights, folder, tmp_path, content):
    out, parts = tmp_path / "lat", tmp_path / "lat.parts"
    if content is None:
        parts.write_text("mine")
    else:
        parts.mkdir()
        for name, text in content.items():
            (parts / name).write_text(text)
    with pytest.raises((UsageError, FileError), match=r"lat.parts"):
        encoded(weights, folder, out)
    assert not out.exists()
    if content is None:
        assert parts.read_text() == "mine"
    else:
        assert {p.name: p.read_text() for p in parts.iterdir()} == content


def test_what_a_user_puts_among_the_parts_stays(weights, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "PART", 8)
    stop_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        encoded(weights, folder, tmp_path / "lat")
    mine = tmp_path / "lat.parts" / "mine.txt"
    mine.write_text("mine")
    assert encoded(weights, folder, tmp_path / "lat", dtype="fp16").reused_parts == 0
    assert [p.name for p in mine.parent.iterdir()] == ["mine.txt"]


def test_parts_whose_removal_was_cut_short_are_still_known(weights, folder, tmp_path, monkeypatch):
    """Found by a kill between the removal of the plan and that of the parts."""
    monkeypatch.setattr(encode, "PART", 8)
    unlink, calls = Path.unlink, []

    def stopping(path, **options):
        if path.parent.name == "lat.parts":
            calls.append(path)
            if len(calls) > 1:
                raise OSError
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stopping)
        encoded(weights, folder, tmp_path / "lat")
    assert (tmp_path / "lat.parts").exists()
    assert encoded(weights, folder, tmp_path / "lat", overwrite=True).count == COUNT
    assert not (tmp_path / "lat.parts").exists()


def test_a_damaged_part_is_encoded_again(weights, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "PART", 8)
    encoded(weights, folder, tmp_path / "whole")
    stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        encoded(weights, folder, tmp_path / "lat")
    part = tmp_path / "lat.parts" / "part-000001.safetensors"
    content = part.read_bytes()
    part.write_bytes(content[:-8] + bytes(8))
    assert encoded(weights, folder, tmp_path / "lat").reused_parts == 2
    assert (tmp_path / "lat").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_file_whose_images_cannot_be_read_is_one_line(weights, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    (root / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"none of the 1 images can be encoded; the first: .*a.png"):
        encoded(weights, root, tmp_path / "lat")
    assert not list(tmp_path.glob("lat*"))


def test_a_part_without_a_readable_image_is_passed_over(weights, tmp_path, monkeypatch):
    write_images(tmp_path / "images", 4)
    monkeypatch.setattr(encode, "PART", 2)
    for name in ("00000.png", "00002.png"):  # the first part
        (tmp_path / "images" / name).write_bytes(b"no image")
    done = encoded(weights, tmp_path / "images", tmp_path / "lat")
    assert (done.count, len(done.skipped)) == (2, 2)
    assert names_in(tmp_path / "lat") == ["more/00001.png", "more/00003.png"]


@pytest.mark.parametrize(
    ("factor", "dtype", "reason"),
    [
        (1e6, "fp16", "its latent is beyond the range of fp16; store it as fp32"),
        (float("inf"), "fp32", "the model returns NaN or infinity for it"),
    ],
)
def test_an_image_whose_latent_is_no_number_is_skipped_and_named(
    weights, folder, tmp_path, factor, dtype, reason
):
    model = zoo.load_model(weights)
    whole = model.encoder.forward

    def forward(x):
        latent = whole(x).abs() + 1
        latent[3:4] *= factor
        return latent

    model.encoder.forward = forward
    images = find_images([folder])
    done = encode_files(model, images, tmp_path / "lat", weights="0", dtype=dtype)
    assert done.skipped == (f"{images[3][1]}: {reason}",)
    assert load_file(tmp_path / "lat")["latents"].isfinite().all()


def test_an_image_of_too_many_pixels_is_skipped_and_named(weights, tmp_path, capsys):
    write_images(tmp_path / "images", 4)
    Image.new("RGB", (40, 40)).save(tmp_path / "images" / "large.png")
    out = tmp_path / "lat"
    arguments = [str(weights), str(tmp_path / "images"), "--max-pixels", "1000"]
    assert main(["encode", *arguments, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "large.png: its 40×40 pixels are more than the 1,000 allowed" in said.err
    assert said.out.startswith("4 latents, 1 skipped")


def test_two_images_of_one_name_are_refused(weights, folder, tmp_path):
    image = ("a.png", folder / "00000.png")
    with pytest.raises(UsageError, match="two images have the same name"):
        encode_files(zoo.load_model(weights), [image, image], tmp_path / "lat", weights="0")
