"""Image files into image files: names, resuming, what is skipped and what is refused."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo import files
from convae_zoo.data.listing import find_images
from convae_zoo.errors import DataError, FileError, UsageError
from convae_zoo.tasks.pictures import PictureModel, restore_files

PLAN = {"weights_sha256": "0" * 64, "task": "reconstruct"}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    tiny = zoo.create_model("convae-200", latent_dim=4, width=2, image_size=8)
    return PictureModel(tiny.eval(), "fp32")


@pytest.fixture
def folder(tmp_path):
    """Pictures of several formats and sizes in a folder and one below it."""
    draw = np.random.default_rng(0)
    path = tmp_path / "in"
    (path / "sub").mkdir(parents=True)
    for name, size in (("a.png", (5, 9)), ("b.jpg", (20, 17)), ("sub/c.png", (8, 8))):
        Image.fromarray(draw.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path / name)
    return path


def restore(model, folder, out, **settings):
    return restore_files(model, find_images([folder]), out, plan=PLAN, **settings)


def contents(out):
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}


class Stopped(BaseException):
    pass


def stopped_after(monkeypatch, pictures):
    """Let writing a picture raise after so many, in place of the next."""
    whole, count = files.write_bytes, []

    def write(path, *parts):
        if path.suffix in {".png", ".jpg"}:
            count.append(path)
            if len(count) > pictures:
                raise Stopped
        whole(path, *parts)

    monkeypatch.setattr(files, "write_bytes", write)


def test_pictures_keep_their_names_sizes_and_formats(model, folder, tmp_path):
    out = tmp_path / "new" / "out"
    done = restore(model, folder, out)
    assert [w.path.relative_to(out).as_posix() for w in done.written] == [
        "a.png",
        "b.jpg",
        "sub/c.png",
    ]
    for written in done.written:
        with Image.open(written.source) as before, Image.open(written.path) as after:
            assert (before.size, before.format) == (after.size, after.format)
    assert {p.name for p in out.parent.iterdir()} == {"out"}


def test_one_image_may_go_to_a_file_of_another_format(model, folder, tmp_path):
    out = tmp_path / "one.webp"
    restore_files(model, find_images([folder / "a.png"]), out, plan=PLAN)
    with Image.open(out) as image:
        assert (image.format, image.size) == ("WEBP", (9, 5))


@pytest.mark.parametrize("pictures", [0, 1, 2])
def test_a_stopped_command_goes_on_and_gives_the_files_of_a_whole_one(
    model, folder, tmp_path, monkeypatch, pictures
):
    restore(model, folder, tmp_path / "whole")
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        stopped_after(patched, pictures)
        with pytest.raises(Stopped):
            restore(model, folder, out)
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert len(times) == pictures
    restore(model, folder, out)
    assert contents(out) == contents(tmp_path / "whole")
    assert all(p.stat().st_mtime_ns == time for p, time in times.items())
    assert {p.name for p in tmp_path.iterdir()} == {"in", "out", "whole"}


def test_what_another_model_has_left_is_not_taken_for_finished(
    model, folder, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        stopped_after(patched, 1)
        with pytest.raises(Stopped):
            restore(model, folder, out)
    other = {**PLAN, "weights_sha256": "1" * 64}
    with pytest.raises(UsageError, match=r"a\.png already exists; choose another --out, or pass"):
        restore_files(model, find_images([folder]), out, plan=other)


def test_existing_pictures_are_replaced_only_on_request(model, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.png", "b.jpg"):
        (out / name).write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"a\.png and 1 more already exist"):
        restore(model, folder, out)
    assert set(contents(out).values()) == {b"mine"}
    restore(model, folder, out, overwrite=True)
    assert b"mine" not in contents(out).values()


def test_a_corrupt_picture_in_the_middle_is_named_and_the_rest_is_done(model, folder, tmp_path):
    whole = (folder / "b.jpg").read_bytes()
    (folder / "b.jpg").write_bytes(whole[: len(whole) // 3])
    done = restore(model, folder, tmp_path / "out")
    assert [w.path.name for w in done.written] == ["a.png", "c.png"]
    assert len(done.skipped) == 1
    assert "b.jpg" in done.skipped[0]
    shutil.rmtree(folder / "sub")
    (folder / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 2 images can be read; the first: .*a\.png"):
        restore(model, folder, tmp_path / "none")


def test_outputs_that_cannot_be_are_refused_before_anything_is_written(model, folder, tmp_path):
    images = find_images([folder])
    (tmp_path / "file").touch()
    for out, message in (
        (folder, "is an input of this command"),
        (tmp_path / "a.png", "is one file for 3 images; name a folder"),
        (tmp_path / "file", "is a file; name a folder, or a picture such as file.png"),
    ):
        with pytest.raises(UsageError, match=message):
            restore_files(model, images, out, plan=PLAN)
    with pytest.raises(FileError, match="cannot write"):
        restore_files(model, images, tmp_path / "file" / "out", plan=PLAN)
    assert {p.name for p in tmp_path.iterdir()} == {"in", "file"}


def test_names_that_become_one_are_refused(model, tmp_path):
    for name in ("x.unknown", "x.unknown.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name, "PNG")
    images = [(p.name, p) for p in sorted(tmp_path.iterdir())]
    with pytest.raises(UsageError, match="two of the pictures would have the same path"):
        restore_files(model, images, tmp_path / "out", plan=PLAN)
