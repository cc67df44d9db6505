"""``reconstruct`` and ``denoise``: whole pictures from the command line."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.evaluation.pca import fit_pca


@pytest.fixture
def photographs(tmp_path):
    """Files of several sizes and modes."""
    draw = np.random.default_rng(0)
    files = {}
    for name, mode, size in (
        ("wide.png", "RGB", (50, 20)),
        ("grey.png", "L", (16, 16)),
        ("glass.png", "RGBA", (9, 40)),
        ("photo.jpg", "RGB", (33, 47)),
        ("palette.png", "P", (16, 24)),
        ("point.png", "RGB", (1, 1)),
    ):
        array = draw.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
        image = Image.fromarray(array, "RGBA").convert("RGB" if mode == "P" else mode)
        files[name] = tmp_path / name
        image.convert(mode).save(files[name])
    return files


def test_each_picture_is_written_whole_and_printed_with_its_quality(
    run, trained, photographs, tmp_path
):
    weights, out = trained(), tmp_path / "out"
    status, printed, err = run("reconstruct", weights, *photographs.values(), "--out", out)
    assert (status, err) == (0, "")
    lines = printed.splitlines()
    assert [line.partition("  ")[0] for line in lines] == [str(out / n) for n in photographs]
    assert all(" dB" in line and line.endswith(" to its original") for line in lines)
    model = zoo.load_model(weights)
    for name in ("wide.png", "glass.png", "grey.png"):
        (expected,) = zoo.reconstruct(model, photographs[name])
        with Image.open(out / name) as image:
            assert np.array_equal(np.asarray(image), expected)
        assert expected.shape[:2] == np.asarray(Image.open(photographs[name])).shape[:2]


def test_clean_pictures_are_compared_and_drawn_side_by_side(run, trained, photographs, tmp_path):
    clean = tmp_path / "clean"
    clean.mkdir()
    for name in ("wide.png", "photo.jpg", "grey.png"):
        Image.open(photographs[name]).convert("L").save(clean / name)
    Image.new("RGB", (3, 3)).save(clean / "grey.png")
    chosen = [photographs[n] for n in ("wide.png", "photo.jpg", "grey.png", "point.png")]
    status, printed, err = run(
        "denoise", trained(), *chosen, "--out", tmp_path / "out", "--clean", clean
    )
    assert status == 0
    assert err.startswith("warning: model 'convae-200' was not trained to remove noise")
    wide, photo, grey, point = printed.splitlines()
    assert "(before: " in wide
    assert "SSIM" in photo
    assert "the picture has 16×16 pixels and the clean one 3×3" in grey
    assert "no clean picture at" in point
    made = tmp_path / "out" / "comparison"
    assert {p.name for p in made.iterdir()} == {"wide.png", "photo.png"}
    with Image.open(made / "wide.png") as row:
        assert row.size == (3 * 50 + 2 * 8, 20 + 24)


def test_pca_of_as_many_numbers_is_measured_and_drawn_beside_each_picture(
    run, trained, waves_dataset, photographs, tmp_path
):
    (calm,) = waves_dataset("val").images[:1].permute(0, 2, 3, 1).numpy()
    Image.fromarray(calm).save(tmp_path / "calm.png")
    chosen = (tmp_path / "calm.png", photographs["grey.png"])
    out = tmp_path / "out"
    status, printed, err = run("reconstruct", trained(), *chosen, "--out", out, "--pca", "waves")
    assert (status, err) == (0, "")
    first, second = printed.splitlines()
    assert re.search(r"dB, SSIM .+ to its original \(PCA-6: .+ dB, SSIM ", second)
    fitted = fit_pca(waves_dataset("train").images, 6)
    expected = fitted.reconstruct(torch.from_numpy(calm).permute(2, 0, 1)[None].float() / 255)
    expected = (expected[0].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
    decibels = 10 * np.log10(255**2 / np.square(expected - calm).mean())
    assert f"(PCA-6: {decibels:.2f} dB" in first
    with Image.open(out / "comparison" / "calm.png") as row:
        assert row.size == (3 * 16 + 2 * 8, 16 + 24)
        assert np.array_equal(np.asarray(row)[:16, 24:40], expected)


def test_a_clean_picture_is_corrupted_on_request_and_compared_with_itself(
    run, trained, photographs, tmp_path
):
    out, noise = tmp_path / "out", ("--corruption", "gaussian(sigma=25)")
    call = ("denoise", trained(), photographs["wide.png"], photographs["photo.jpg"], "--out", out)
    status, printed, _ = run(*call, *noise)
    assert status == 0
    wide, photo = printed.splitlines()
    assert all(20 < float(line.split("(before: ")[1].split()[0]) < 20.4 for line in (wide, photo))
    with Image.open(out / "comparison" / "wide.png") as row:
        drawn, clean = np.asarray(row)[:20], np.asarray(Image.open(photographs["wide.png"]))
        noisy = drawn[:, :50]
        assert np.array_equal(drawn[:, -50:], clean)
        assert np.std(noisy - clean.astype(float)) == pytest.approx(20, abs=4)  # clipped
    before = (out / "wide.png").read_bytes()
    assert run(*call, *noise, "--overwrite")[1] == printed
    assert (out / "wide.png").read_bytes() == before
    (uncorrupted,) = zoo.reconstruct(trained(), photographs["wide.png"])
    assert not np.array_equal(np.asarray(Image.open(out / "wide.png")), uncorrupted)


@pytest.mark.parametrize("out", [".", ".."])
def test_pictures_go_to_the_current_folder_or_its_parent(
    run, trained, photographs, tmp_path, monkeypatch, out
):
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / ("below" if out == ".." else ""))
    assert run("reconstruct", trained(), photographs["wide.png"], "--out", out)[0] == 0
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"below", "wide.png"}


NOISE = ("--corruption", "gaussian(sigma=20)")


def copies(folder, photographs, names):
    """Write two photographs into a folder under other names, in the names' formats."""
    for name, photograph in zip(names, ("wide.png", "photo.jpg"), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(photographs[photograph]).convert("RGB").save(folder / name)
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_side_by_sides_of_pictures_that_differ_in_the_suffix_are_kept_apart(
    run, trained, photographs, tmp_path
):
    copies(tmp_path / "in", photographs, ("a.png", "a.jpg"))
    out = tmp_path / "out"
    assert run("denoise", trained(), tmp_path / "in", "--out", out, *NOISE)[0] == 0
    for name, width in (("a.png.png", 50), ("a.jpg.png", 33)):
        with Image.open(out / "comparison" / name) as row:
            assert row.width == 3 * width + 2 * 8


@pytest.mark.parametrize(
    ("names", "arguments", "words"),
    [
        (("comparison/a.png", "b.jpg"), ["comparison/a.png", "--out", "a.png"], "is an input"),
        (("comparison/a.png", "b.jpg"), ["b.jpg", "--out", "a.jpg"], "already exists; choose"),
        (("o/comparison/a.png", "o/a.jpg"), ["o", "--out", "new"], "both a picture and a side-by-"),
    ],
)
def test_a_side_by_side_overwrites_no_input_no_picture_and_no_file(
    run, trained, photographs, tmp_path, monkeypatch, names, arguments, words
):
    monkeypatch.chdir(tmp_path)
    before = copies(tmp_path, photographs, names)
    status, printed, err = run("denoise", trained(), *arguments, *NOISE)
    assert (status, printed) == (2, "")
    assert words in err
    assert err.count("\n") <= 2  # a warning of the model, and the error
    after = {path: path.read_bytes() for path in before}
    assert after == before
    assert not (tmp_path / "new").exists()


def test_a_side_by_side_does_not_overwrite_the_clean_picture(
    run, trained, photographs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = copies(tmp_path, photographs, ("noisy/a.png", "comparison/a.png"))
    call = ("denoise", trained(), "noisy/a.png", "--clean", "comparison", "--out", "a.png")
    status, _, err = run(*call, "--overwrite")
    assert status == 2
    assert "a file of the folder comparison, which is an input of this command" in err
    assert {path: path.read_bytes() for path in before} == before


def test_a_single_picture_s_side_by_side_has_its_name(run, trained, photographs, tmp_path):
    call = ("denoise", trained(), photographs["wide.png"], *NOISE)
    for name in ("a.png", "b.png"):
        assert run(*call, "--out", tmp_path / "out" / name)[0] == 0
    made = (tmp_path / "out" / "comparison").iterdir()
    assert {path.name for path in made} == {"a.png", "b.png"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--corruption", "gausian"], "unknown corruption 'gausian'; did you mean 'gaussian'"),
        (["--corruption", "gaussian(sigma=9:3)"], "a range LOW:HIGH"),
        (["--corruption", "gaussian", "--clean", "."], "exclude each other"),
    ],
)
def test_a_corruption_that_cannot_be_is_one_line(
    run, trained, photographs, tmp_path, options, words
):
    call = ("denoise", trained(), photographs["wide.png"], "--out", tmp_path / "a.png")
    status, _, err = run(*call, *options)
    assert (status, err.count("\n")) == (2, 1)
    assert words in err


def test_an_estimated_sigma_is_printed_for_models_that_take_one(run, photographs, tmp_path):
    weights = tmp_path / "takes.safetensors"
    zoo.save_model(zoo.create_model("unet-denoiser-sigma", width=2, image_size=16), weights)
    call = ("denoise", weights, photographs["wide.png"], "--out", tmp_path / "a.png")
    status, printed, _ = run(*call)
    assert status == 0
    assert printed.startswith("wide.png: estimated sigma ")
    status, printed, _ = run(*call, "--sigma", "30", "--overwrite")
    assert (status, printed) == (0, f"{tmp_path / 'a.png'}\n")


def test_an_unreadable_image_is_skipped_and_named(run, trained, photographs, tmp_path):
    bad, out = tmp_path / "bad.png", tmp_path / "out"
    bad.write_bytes(photographs["wide.png"].read_bytes()[:60])
    status, printed, err = run("reconstruct", trained(), bad, photographs["grey.png"], "--out", out)
    assert status == 0
    assert printed.count("\n") == 1
    assert err.startswith(f"skipped: {bad}")
    assert {p.name for p in out.iterdir()} == {"grey.png"}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["wide.png", "--out", "wide.png"], 2, "is an input of this command"),
        (["wide.png", "--out", "."], 2, "is an input of this command"),
        (["wide.png", "--out", "grey.png/a.png"], 1, "cannot write"),
        (["wide.png", "grey.png", "--out", "a.png"], 2, "is one file for 2 images"),
        (["glass.png", "--out", "a.jpg"], 1, "JPEG has no transparency; name a .png file"),
        (["missing.png", "--out", "a.png"], 1, "no image file or folder at"),
        (["wide.png", "--out", "a.png", "--clean", "missing"], 1, "no folder of clean pictures"),
        (["wide.png", "--out", "a.png", "--pca", "photso"], 2, "did you mean 'photos'"),
        (["wide.png", "--out", "a.png", "--pca", "photos", "--clean", "."], 2, "leave out --clean"),
        (["--out", "a.png"], 2, "IMAGE"),
    ],
)
def test_a_call_that_cannot_work_is_one_line(
    run, trained, photographs, tmp_path, arguments, status, words
):
    model, before = trained(), photographs["wide.png"].read_bytes()
    files = [a if a.startswith(("--", "phot")) else tmp_path / a for a in arguments]
    found, printed, err = run("reconstruct", model, *files)
    assert (found, printed) == (status, "")
    assert words in err
    assert err.count("\n") == 1
    assert photographs["wide.png"].read_bytes() == before
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("sigma", ["-1", "256", "nan"])
def test_a_sigma_out_of_range_is_one_line(run, trained, photographs, tmp_path, sigma):
    call = ("denoise", trained(), photographs["wide.png"], "--out", tmp_path / "a.png")
    status, _, err = run(*call, "--sigma", sigma)
    assert (status, err.count("\n")) == (2, 1)
    assert "sigma must be a number from 0 to 255" in err
