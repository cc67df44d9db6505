"""Registered weights on the Hub or at a URL."""

import hashlib
import shutil
from types import ModuleType

import pytest
import torch

import convae_zoo as zoo
from convae_zoo import hookimpl, registry
from convae_zoo.cli import main
from convae_zoo.errors import UnknownNameError, UsageError, WeightsError
from convae_zoo.registry.discovery import load_entry_points
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import ModelSpec, Provenance, WeightsSpec
from convae_zoo.weights.pull import pull

REPO = "someone/net"
IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def far(server, repository, body):
    """A model ``far`` with weights on the Hub, at a URL, and nowhere."""
    server.repositories[REPO] = repository(files={"model.safetensors": body})
    url, digest = server.offer("/mine", body), sha256(body)
    weights = (
        WeightsSpec(tag="hub", dataset="photos", hub=REPO, revision="main", sha256=digest),
        WeightsSpec(tag="url", dataset="photos", url=url, sha256=digest),
        WeightsSpec(tag="forged", dataset="photos", url=url, sha256="0" * 64),
        WeightsSpec(tag="moved", dataset="photos", hub=REPO, sha256="0" * 64),
        WeightsSpec(tag="bare", dataset="photos"),
    )

    @hookimpl
    def register_models(register):
        register(ModelSpec(name="far", encoder="convae", decoder="convae", weights=weights))

    manager, plugin = load_entry_points(), ModuleType("far")
    plugin.register_models = register_models
    manager.add(Provenance("far", "far-dist", "1"), lambda: plugin)
    with registry.override(build_registry(manager)):
        yield


def failure(work, kind=WeightsError):
    with pytest.raises(kind) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("name", ["far.hub", "far.url"])
def test_weights_are_not_downloaded_unless_requested(server, name):
    line = failure(lambda: zoo.load_model(name))
    assert f"convae-zoo pull {name}" in line
    assert server.requests == []


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("name", ["far.hub", "far.url"])
def test_a_pulled_name_can_be_loaded(server, monkeypatch, model, name, body):
    path = pull(name)
    assert path.read_bytes() == body
    monkeypatch.setenv("CONVAE_ZOO_OFFLINE", "1")
    server.requests.clear()
    assert torch.equal(zoo.load_model(name)(IMAGES), model.eval()(IMAGES))
    assert server.requests == []


@pytest.mark.usefixtures("far")
def test_download_fetches_missing_weights(model):
    loaded = zoo.load_model("far.hub", download=True)
    assert torch.equal(loaded(IMAGES), model.eval()(IMAGES))


@pytest.mark.usefixtures("far")
def test_identical_files_of_two_names_are_fetched_once(server):
    assert pull("far.url") == pull("far.hub")
    assert len(server.requests) == 1


@pytest.mark.usefixtures("far")
def test_an_altered_cached_file_is_never_loaded(body):
    path = pull("far.url")
    path.write_bytes(body[:-1] + b"x")
    assert "convae-zoo pull far.url" in failure(lambda: zoo.load_model("far.url"))
    assert not path.exists()
    zoo.load_model("far.url", download=True)
    assert path.read_bytes() == body


@pytest.mark.usefixtures("far")
def test_a_download_with_another_digest_is_never_loaded(weights_cache):
    assert "gave other bytes" in failure(lambda: zoo.load_model("far.forged", download=True))
    assert not list(weights_cache.glob("*.safetensors"))


@pytest.mark.usefixtures("far")
def test_a_file_that_changed_on_the_hub_is_not_fetched(server):
    line = failure(lambda: zoo.load_model("far.moved", download=True))
    assert "is registered with" in line
    assert [p for _, p, _ in server.requests if "/cdn/" in p] == []


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("name", ["far.hub", "far.url"])
def test_the_offline_error_says_where_to_put_the_file(
    server, monkeypatch, weights_cache, name, body
):
    monkeypatch.setenv("CONVAE_ZOO_OFFLINE", "1")
    line = failure(lambda: pull(name))
    place = weights_cache / f"{sha256(body)}.safetensors"
    assert "CONVAE_ZOO_OFFLINE" in line
    assert str(place) in line
    assert server.requests == []
    place.parent.mkdir(parents=True)
    place.write_bytes(body)
    assert pull(name) == place


@pytest.mark.usefixtures("far")
def test_a_name_that_cannot_be_pulled_is_reported():
    assert "not trained yet" in failure(lambda: pull("far.bare"))
    assert "names a model without weights" in failure(lambda: pull("far"), UsageError)
    assert "did you mean 'hub'" in failure(lambda: pull("far.hubb"), UnknownNameError)
    assert "--revision" in failure(lambda: pull("far.hub", revision="main"), UsageError)


@pytest.mark.usefixtures("far")
def test_weights_stored_elsewhere_are_listed_and_shown(capsys):
    names = ["far.forged", "far.hub", "far.moved", "far.url"]
    assert zoo.list_models("far", pretrained=True) == names
    assert main(["show", "far.hub"]) == 0
    shown = capsys.readouterr().out
    assert f"{REPO}/model.safetensors" in shown


@pytest.mark.usefixtures("far")
def test_a_file_is_copied_out_of_the_cache(tmp_path, weights_cache, body):
    out = tmp_path / "out.safetensors"
    assert main(["pull", "far.url", "--out", str(out)]) == 0
    shutil.rmtree(weights_cache)
    assert out.read_bytes() == body
