"""Decoding: the model's own pictures, never another file's, restartable, inside the folder."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.cli import main
from convae_zoo.errors import ContractError, DataError, UsageError
from convae_zoo.files import claim_output
from convae_zoo.tasks.compress import decode_file, encode_files
from convae_zoo.weights.load import read_metadata
from latent_files import as_version_1, encoded, rewrite, write_images

COUNT = 50


@pytest.fixture
def latents(weights, folder, tmp_path):
    """A latents file of the images of `folder`."""
    encoded(weights, folder, tmp_path / "z.safetensors")
    return tmp_path / "z.safetensors"


def decode(weights, path, out, **settings):
    digest = read_metadata(weights)["sha256"]
    return decode_file(zoo.load_model(weights), path, out, weights=digest, **settings)


def written(out):
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_decoding_gives_the_models_reconstructions(weights, folder, latents, tmp_path):
    assert decode(weights, latents, tmp_path / "out") == COUNT
    model, path = zoo.load_model(weights), folder / "more" / "00001.png"
    with torch.no_grad():
        expected = model.postprocess(model(model.preprocess(path)))[0].permute(1, 2, 0)
    got = np.array(Image.open(tmp_path / "out" / "more" / "00001.png.png"))
    assert np.abs(got.astype(int) - expected.numpy().astype(int)).max() <= 1


def test_latents_of_another_model_are_refused(weights, latents, tmp_path):
    with pytest.raises(ContractError, match=r"latents of another model .* decode it with its"):
        decode_file(zoo.load_model(weights), latents, tmp_path / "out", weights="0" * 64)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def other_weights(tmp_path_factory):
    """Other weights of the same model."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    zoo.save_model(zoo.create_model("convae-200", width=4, latent_dim=16, image_size=8), path)
    return path


def test_pictures_of_other_latents_are_never_passed_off_as_these(
    weights, other_weights, folder, latents, tmp_path, capsys
):
    """Decoding B into a folder that holds A's pictures kept A's, with status 0."""
    encoded(other_weights, folder, tmp_path / "b.safetensors")
    out = tmp_path / "out"
    decode(weights, latents, out)
    before = written(out)
    call = ["decode", str(other_weights), str(tmp_path / "b.safetensors"), "--out", str(out)]
    assert main(call) == 2
    err = capsys.readouterr().err
    assert "and 49 more already exist and were not decoded from these latents" in err
    assert err.count("\n") == 1
    assert written(out) == before
    assert main([*call, "--overwrite"]) == 0
    decode(other_weights, tmp_path / "b.safetensors", tmp_path / "fresh")
    assert written(out) == written(tmp_path / "fresh")


def test_a_users_own_picture_is_not_replaced_unasked(weights, latents, tmp_path):
    (tmp_path / "out").mkdir()
    Image.new("RGB", (5, 5)).save(tmp_path / "out" / "00000.png.png")
    before = written(tmp_path / "out")
    with pytest.raises(UsageError, match=r"00000.png.png already exist .* --overwrite"):
        decode(weights, latents, tmp_path / "out")
    assert written(tmp_path / "out") == before


def test_a_second_start_writes_only_what_is_missing(weights, latents, tmp_path):
    out = tmp_path / "out"
    decode(weights, latents, out)
    whole = written(out)
    (out / "00002.png.png").unlink()
    kept = out / "00004.png.png"
    kept_since = kept.stat().st_ino
    assert decode(weights, latents, out) == COUNT
    assert written(out) == whole
    assert kept.stat().st_ino == kept_since


def test_two_files_may_be_decoded_into_one_folder(weights, latents, tmp_path):
    write_images(tmp_path / "others" / "sub", 4)
    encoded(weights, tmp_path / "others", tmp_path / "b.safetensors")
    for path in (latents, tmp_path / "b.safetensors", latents):
        decode(weights, path, tmp_path / "out")
    assert len(written(tmp_path / "out")) == COUNT + 4


def test_a_file_of_the_first_version_is_still_decoded(weights, latents, tmp_path):
    decode(weights, latents, tmp_path / "new")
    as_version_1(latents)
    assert decode(weights, latents, tmp_path / "old") == COUNT
    for name in written(tmp_path / "new"):
        new, old = (np.array(Image.open(tmp_path / folder / name)) for folder in ("new", "old"))
        assert np.array_equal(new, old)


def test_a_second_process_says_who_is_decoding_into_the_folder(weights, latents, tmp_path):
    told = pytest.raises(UsageError, match=f"is being written by process {os.getpid()} on ")
    with claim_output(tmp_path / "out"), told:
        decode(weights, latents, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_folder_should_be_is_reported(weights, latents, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        decode(weights, latents, tmp_path / "out")


@pytest.mark.parametrize("letter", ["n", "ü"])
def test_a_name_too_long_with_its_ending_is_cut_and_all_are_written(weights, tmp_path, letter):
    root = tmp_path / "images"
    root.mkdir()
    longest = letter * (250 // len(letter.encode()) - 3)
    for name in (f"{longest}aa.png", f"{longest}bb.png", "short.png"):
        Image.new("RGB", (8, 8)).save(root / name)
    encoded(weights, root, tmp_path / "z.safetensors")
    assert decode(weights, tmp_path / "z.safetensors", tmp_path / "out") == 3
    names = sorted(written(tmp_path / "out"))
    assert len(names) == 3
    assert "short.png.png" in names
    assert all(len(os.fsencode(name)) <= 255 for name in names)
    assert sum(name.startswith(longest[:100]) and name.endswith(".png") for name in names) == 2


def test_a_name_that_leaves_the_folder_is_refused(weights, latents, tmp_path):
    names = json.dumps([f"../../evil{n}.png" for n in range(COUNT)])
    as_version_1(latents)
    rewrite(latents, text=names.encode())
    with pytest.raises(UsageError, match="leads out of the folder"):
        decode(weights, latents, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", ".", "a\0b", "\ud800", "more//00001.png"])
def test_a_name_that_no_file_can_have_is_damage(weights, latents, tmp_path, name):
    names = [name, "more/00001.png", *(f"{n}.png" for n in range(2, COUNT))]
    as_version_1(latents)
    rewrite(latents, text=json.dumps(names).encode())
    with pytest.raises(DataError, match=r"is damaged: .*name.*; encode the images again"):
        decode(weights, latents, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_latents_of_another_shape_than_the_models_are_damage(weights, latents, tmp_path):
    as_version_1(latents, latents=torch.zeros(COUNT, 15))
    with pytest.raises(DataError, match=r"have the shape \(15,\) and the model's \(16,\)"):
        decode(weights, latents, tmp_path / "out")


def test_images_with_names_beyond_ascii_come_back_under_them(weights, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    name = os.fsdecode(b"caf\xc3\xa9 \xff.png")  # the last is no UTF-8
    Image.new("RGB", (8, 8)).save(root / "plain.png")
    shutil.copy(root / "plain.png", root / name)
    encoded(weights, root, tmp_path / "z.safetensors")
    decode(weights, tmp_path / "z.safetensors", tmp_path / "out")
    assert (tmp_path / "out" / f"{name}.png").exists()


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """A model whose latents are 2×2 of 300 codes, so 5 bytes."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("quantised") / "small.safetensors"
    settings = {"width": 4, "latent_channels": 6, "image_size": 8, "codes": 300}
    zoo.save_model(zoo.create_model("vector-quantised-512", **settings), path)
    return path


def test_latents_that_are_codes_are_stored_as_codes_and_decoded_alike(quantised, folder, tmp_path):
    encoded(quantised, folder, tmp_path / "codes")
    encoded(quantised, folder, tmp_path / "floats", dtype="fp32")
    for name in ("codes", "floats"):
        assert decode(quantised, tmp_path / name, tmp_path / f"{name}.d") == COUNT
    for name in written(tmp_path / "codes.d"):
        a, b = (np.array(Image.open(tmp_path / f"{n}.d" / name)) for n in ("codes", "floats"))
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_a_code_that_the_model_does_not_have_is_damage(quantised, folder, tmp_path):
    encoded(quantised, folder, tmp_path / "z")
    packed = torch.full((COUNT, 5), 255, dtype=torch.uint8)
    as_version_1(tmp_path / "z", codes=packed)
    with pytest.raises(DataError, match="a code is 511, but codes must be below 300"):
        decode(quantised, tmp_path / "z", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "described",
    [
        None,
        7,
        {},
        {"count": 300, "shape": []},
        {"count": True, "shape": [2, 2]},
        {"count": 301, "shape": [2, 2]},
        {"count": 10**30, "shape": [2, 2]},
    ],
)
def test_codes_that_are_not_the_models_are_damage(quantised, folder, tmp_path, described):
    encoded(quantised, folder, tmp_path / "z")
    as_version_1(tmp_path / "z")
    document = {"format_version": 1, "weights_sha256": read_metadata(quantised)["sha256"]}
    rewrite(tmp_path / "z", document={**document, "codes": described})
    with pytest.raises(DataError, match=r"is damaged: (its codes are|it does not describe)"):
        decode(quantised, tmp_path / "z", tmp_path / "out")


def test_the_article_vector_quantised_model_takes_72_bytes_per_image(tmp_path):
    """64 codes of 9 bits; as floats they took 4,096."""
    torch.manual_seed(0)
    model = zoo.create_model("vector-quantised-512").eval()
    root = tmp_path / "images"
    write_images(root, 6)
    images = [(p.name, p) for p in sorted(root.rglob("*.png"))]
    encode_files(model, images, tmp_path / "z", weights="0" * 64)
    from safetensors.torch import load_file

    assert load_file(tmp_path / "z")["codes"].shape == (6, 72)
    assert model.encoder.bits == 8 * 72
