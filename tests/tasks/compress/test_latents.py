"""A latents file is checked whole before it is used: what is damaged is one line."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from convae_zoo.errors import DataError
from convae_zoo.tasks.compress.latents import count_latents, open_latents
from latent_files import as_version_1, document_in, encoded, names_in, rewrite

COUNT = 50


@pytest.fixture
def path(weights, folder, tmp_path):
    """A latents file of the images of `folder`."""
    encoded(weights, folder, tmp_path / "z.safetensors")
    return tmp_path / "z.safetensors"


def test_a_file_says_what_it_holds(path):
    opened = open_latents(path)
    assert (opened.kind, opened.shape, count_latents(path)) == ("latents", (COUNT, 16), COUNT)
    assert list(opened.names) == names_in(path)
    stored = load_file(path)["latents"]
    assert torch.equal(torch.cat(list(opened.batches(7))), stored)
    assert document_in(path)["sha256"] == opened.sha256
    assert document_in(path)["format_version"] == 2


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def zeroed(path):
    content = bytearray(path.read_bytes())
    content[-100:] = bytes(100)
    path.write_bytes(content)


def with_document(**changes):
    def change(path):
        rewrite(path, document={**document_in(path), **changes})

    return change


def with_names(names):
    return lambda path: as_version_1(path) or rewrite(path, text=names)


DAMAGE = {
    "cut short": (
        lambda p: p.write_bytes(p.read_bytes()[:-10]),
        "is not a latents file, or is damaged",
    ),
    "empty": (lambda p: p.write_bytes(b""), "is not a latents file, or is damaged"),
    "no safetensors": (lambda p: p.write_bytes(b"x" * 100), "is not a latents file, or is damaged"),
    "a huge header": (lambda p: p.write_bytes(b"\xff" * 8 + b"{}"), "is not a latents file"),
    "other tensors": (
        lambda p: save_file({"a": torch.ones(1)}, p),
        "is not a latents file; expected",
    ),
    "a bit flipped in a latent": (lambda p: flip(p, -1), "does not have the sha256"),
    "zeroed bytes": (zeroed, "does not have the sha256"),
    "a changed model": (with_document(model={"name": "other"}), "does not have the sha256"),
    "changed weights": (with_document(weights_sha256="0" * 64), "does not have the sha256"),
    "a changed name": (lambda p: flip(p, p.read_bytes().index(b"00000.png")), "sha256"),
    "no sha256": (with_document(sha256=None), "it has no sha256"),
    "a newer version": (with_document(format_version=3), "by a newer convae_zoo; upgrade"),
    "a version that is no number": (with_document(format_version="2"), "is not a latents file"),
    "a version that is true": (with_document(format_version=True), "is not a latents file"),
    "a version below 1": (with_document(format_version=0), "is not a latents file"),
    "a document that is no JSON": (lambda p: rewrite(p, document="{"), "is not a latents file"),
    "a document that is a list": (lambda p: rewrite(p, document="[1]"), "is not a latents file"),
    "a deep document": (lambda p: rewrite(p, document="[" * 100_000), "is not a latents file"),
    "NaN": (
        lambda p: as_version_1(p, latents=torch.full((COUNT, 16), torch.nan)),
        "NaN or infinite",
    ),
    "infinity, half": (
        lambda p: as_version_1(p, latents=torch.full((COUNT, 16), torch.inf).half()),
        "NaN or infinite",
    ),
    "one name twice": (with_names(json.dumps(["a"] * COUNT).encode()), "have the same name"),
    "too few names": (with_names(b'["a"]'), "50 latents but 1 names"),
    "names that are numbers": (with_names(b"[1]"), "not a list of strings"),
    "names that are no list": (with_names(b'{"a": 1}'), "not a list of strings"),
    "names that are no JSON": (with_names(b"\xff\xfe"), "names are not JSON"),
    "deep names": (with_names(b"[" * 100_000), "is damaged"),
    "no names": (lambda p: rewrite(p, drop=["names"]), "is damaged"),
    "names that are floats": (lambda p: rewrite(p, names=torch.ones(3)), "names are not text"),
    "no latents": (lambda p: rewrite(p, drop=["latents"]), "tensors none, not the latents"),
    "whole numbers": (lambda p: rewrite(p, latents=torch.ones(50, 4).long()), "are I64"),
    "one dimension": (lambda p: rewrite(p, latents=torch.ones(50)), "have the shape (50,)"),
    "no values": (lambda p: rewrite(p, latents=torch.ones(50, 0)), "have the shape (50, 0)"),
    "codes beside latents": (
        lambda p: rewrite(p, codes=torch.ones(50, 1).byte()),
        "tensors codes, latents, not the latents",
    ),
}


@pytest.mark.parametrize(("damage", "line"), DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_one_line_that_names_the_file(path, damage, line):
    damage(path)
    with pytest.raises(DataError) as caught:
        open_latents(path)
    assert line in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "no", tmp_path / "a\0b"):
        with pytest.raises(DataError, match="no latents file at"):
            count_latents(path)


def test_every_flipped_bit_of_the_content_is_noticed(path):
    """One bit of every 97th byte behind the header."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for place in range(start, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(DataError, match="is damaged"):
            open_latents(path)


def test_the_same_latents_in_other_spelling_of_the_document_are_the_same(path):
    """The digest is over what the document says, not over its spaces."""
    before = open_latents(path).sha256
    rewrite(path, document=json.dumps(document_in(path), indent=1))
    assert open_latents(path).sha256 == before
