"""The cache of computed tensors."""

import pytest
import torch
from convae_datasets import cache
from convae_datasets.cache import cached


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


class Compute:
    """Counts its calls."""

    calls = 0

    def __call__(self):
        self.calls += 1
        return {"images": torch.arange(24, dtype=torch.uint8).view(2, 12)}


def test_tensors_are_computed_once(folder):
    compute = Compute()
    first, second = (cached("set", "key", compute)["images"] for _ in range(2))
    assert compute.calls == 1
    assert second.equal(first)
    assert [path.name for path in folder.iterdir()] == ["set.safetensors"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda stored: stored[:20],
        lambda stored: stored[:-1],
        lambda stored: stored[:-1] + bytes([stored[-1] ^ 1]),
        lambda stored: bytes([stored[0] ^ 1]) + stored[1:],
    ],
)
def test_a_damaged_file_is_replaced(folder, damage):
    compute = Compute()
    expected = cached("set", "key", compute)["images"]
    whole = (folder / "set.safetensors").read_bytes()
    (folder / "set.safetensors").write_bytes(damage(whole))
    assert cached("set", "key", compute)["images"].equal(expected)
    assert compute.calls == 2
    assert (folder / "set.safetensors").read_bytes() == whole


@pytest.mark.usefixtures("folder")
def test_a_file_of_another_key_is_replaced():
    compute = Compute()
    for key in ("old", "new", "new"):
        cached("set", key, compute)
    assert compute.calls == 2


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / "file"))
    assert cached("set", "key", Compute())["images"].shape == (2, 12)


def test_large_tensors_are_not_stored(folder, monkeypatch):
    monkeypatch.setattr(cache, "MOST_BYTES", 23)
    cached("set", "key", Compute())
    assert not folder.exists()
