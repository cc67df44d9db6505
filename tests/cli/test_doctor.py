"""``convae-zoo doctor``."""

import json
import types

import pytest

import convae_zoo as zoo
from convae_zoo import registry
from convae_zoo.errors import ZooWarning


@pytest.fixture
def findings(run):
    """A function that runs the doctor: its exit status, and the status and detail by check."""

    def call():
        status, out, err = run("doctor", "--json")
        assert err == ""
        found = json.loads(out)["findings"]
        return status, {each["check"]: (each["status"], each["detail"]) for each in found}

    return call


def test_a_sound_installation_passes_with_its_versions_device_and_weights(run):
    status, out, err = run("doctor")
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in out.splitlines()}
    assert rows["packages"][0] == rows["plugins"][0] == rows["weights"][0] == "ok"
    assert "Python 3." in rows["packages"][1]
    assert " threads)" in rows["device"][1] or "cuda" in rows["device"][1]
    count = len(zoo.list_models(pretrained=True))
    assert rows["weights"][1].startswith(f"{count} files are whole")


def test_a_package_that_is_too_old_is_a_failure(findings, tmp_path, monkeypatch):
    folder = tmp_path / "click-7.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: click\nVersion: 7.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    status, found = findings()
    assert status == 1
    assert found["packages"] == (
        "failed",
        "convae-zoo needs click>=8.2, found 7.0; pip install -U convae-zoo",
    )


def test_a_broken_plugin_is_a_failure_with_its_reason(findings, plugin_site):
    plugin_site.install("broken-dist", {"broken": "raise RuntimeError('out of luck')"})
    with pytest.warns(ZooWarning, match="out of luck"), registry.override():
        status, found = findings()
    assert status == 1
    assert found["plugin broken"] == ("failed", "of broken-dist 1.0: RuntimeError: out of luck")


def test_weights_that_were_altered_are_a_failure(findings, registry_with):
    original = registry.find_model("convae-200.photos")[1]

    @zoo.hookimpl
    def register_weights(register):
        register(
            zoo.WeightsSpec(
                model="convae-200",
                tag="altered",
                dataset="photos",
                file=original.file,
                sha256="0" * 64,
                metrics=original.metrics,
            )
        )

    module = types.ModuleType("altered_plugin")
    module.register_weights = register_weights
    registry_with(module)
    status, found = findings()
    assert status == 1
    level, detail = found["weights convae-200.altered"]
    assert level == "failed"
    assert "do not have the sha256 that is registered" in detail


def test_a_cache_that_cannot_be_written_is_a_failure(findings, tmp_path, monkeypatch):
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / "a-file" / "cache"))
    status, found = findings()
    assert status == 1
    level, detail = found["cache"]
    assert level == "failed"
    assert "name another folder in CONVAE_ZOO_CACHE" in detail
