"""The conformance kit: it passes what is sound, and catches and names each planted defect."""

import re
import shutil
from hashlib import sha256

import attrs
import pytest

from convae_zoo import create_model, registry, save_model
from convae_zoo.errors import PluginError, UnknownNameError
from convae_zoo.export import missing_onnx_packages
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.specs import Recipe
from convae_zoo.testing import (
    PROPERTIES,
    ConformanceFailure,
    check,
    check_property,
    compiled,
    conformance_tests,
    entries,
    properties_of,
)

ELSEWHERE = {"listing": "defects-torch"}
"""Defects that need a plugin of their own."""

TRAINED = """
from convae_zoo import hookimpl
from convae_zoo import ModelSpec, WeightsSpec


@hookimpl
def register_models(register):
    config = {{"width": 2, "image_size": 8, "latent_dim": 8}}
    weights = WeightsSpec(
        tag="photos", dataset="photos", file="site_files:trained.safetensors", sha256="{}"
    )
    register(
        ModelSpec(
            name="trained", encoder="convae", decoder="convae",
            encoder_config=config, decoder_config=config, weights=(weights,),
        )
    )
"""

MESSAGES = {
    "config-json": "comes back from JSON as",
    "bad-config": "width=.* is taken; give the field a check",
    "forward": r"images are 3×4×4 but 3×5×5 is declared \(smallest input: latent_dim=1, "
    r"image_size=5, input 2×1\)",
    "latent": r"the latent is 2 but 1 is declared \(smallest input: latent_dim=1, image_size=4,",
    "image-sizes": r"it raised RuntimeError: .*image_size=12",
    "gradients": r"no gradient reaches forgotten\.bias, forgotten\.weight",
    "terms": r"term 'kl' must be a finite scalar tensor, got \(2,\)",
    "seed": r"two builds from one seed give different outputs \(smallest input: latent_dim=1",
    "batch": r"a batch and its images one by one differ by",
    "state-dict": r"the state dict does not hold all that the output depends on",
    "weights-file": r"loaded in another process it gives a different output",
    "channels-last": r"channels_last changes the output",
    "bf16": r"bf16 autocast changes the output",
    "compile": r"torch\.compile \(aot_eager\) changes the output",
    "torch-export": r"data-dependent|Could not guard|Dynamic control flow",
    "onnx": r"bessel_j0",
    "listing": r"listing it imports torch",
    "numbers": r"declares 7 parameters but has 1,786,795",
    "weights": r"sha256",
    "loss-scalar": r"must return a scalar tensor, got shape \(1,\) \(smallest input: two batches "
    r"1×3×32×32\)",
    "loss-minimum": r"equal images give 1, not 0",
    "loss-gradients": r"gradient at equal images holds NaN",
    "loss-symmetric": r"claims to be symmetric but gives",
    "loss-float64": r"float32 gives .* but float64",
    "dataset-images": r"labels of 'train' go from 0 to 7 for 2 classes",
    "dataset-repeats": r"split 'train' loaded twice gives other images",
    "dataset-splits": r"image 8 of 'val' is in 'train' too",
    "dataset-pictures": r"pictures of 'train' call themselves 'all' of 'dataset-pictures'",
    "corruption-images": r"it returns images 1×3×32×46 \(smallest input: its defaults, images "
    r"1×3×33×47\)",
    "corruption-clean": r"it changes the clean images",
    "corruption-seed": r"equal seeds give different images; draw every random number from the",
    "corruption-sigma": r"its with_sigma states sigma 1 but its noise has 2\d",
    "score-values": r"6 images that differ all have the score 1",
    "score-map": r"its map is 6×1024; it must be 6×32×32",
    "score-batch": r"a batch and its images one by one differ by",
    "score-state": r"restored from its state dict it gives other scores",
    "score-refit": r"a second fit does not replace what the first learned",
    "score-sign": r"noise scores -.* on average, .*; higher must be more anomalous",
}
"""What the kit says of each planted defect."""


@pytest.mark.usefixtures("defects")
def test_every_property_has_a_planted_defect():
    plugins = ("defects", "defects-torch")
    planted = {e.name.partition(".")[0] for plugin in plugins for e in entries(plugin=plugin)}
    assert set(PROPERTIES) <= planted
    assert set(PROPERTIES) == set(MESSAGES)


@pytest.mark.usefixtures("defects")
@pytest.mark.parametrize("prop", PROPERTIES)
def test_a_planted_defect_is_caught_and_named_with_its_plugin(prop):
    """One line: the entry, the property, what was found, and the plugin to tell."""
    if prop == "onnx" and missing_onnx_packages():
        pytest.skip("the packages for ONNX are not installed")
    plugin = ELSEWHERE.get(prop, "defects")
    found = entries(prop, plugin=plugin)
    (entry,) = (entry for entry in found if entry.kind in PROPERTIES[prop].kinds)
    (result,) = check(entry, [prop])
    assert result.status == "failed"
    line = result.detail
    assert "\n" not in line
    assert line.startswith(f"{entry.kind} {entry.name!r} fails {prop!r}: ")
    assert line.endswith(f"; tell plugin {plugin!r} of convae-defects 0.1")
    assert re.search(MESSAGES[prop], line)


@pytest.mark.usefixtures("defects")
@pytest.mark.parametrize("prop", PROPERTIES)
def test_a_defect_is_no_failure_of_properties_that_it_has(prop):
    """The defects are single: a kit that fails everything would be no use."""
    if prop in {"compile", "onnx", "torch-export", "weights-file"}:
        pytest.skip("slow, and covered by the entries of the zoo")
    sound = {
        "encoder": "gradients",
        "loss": "loss-symmetric",
        "dataset": "dataset-repeats",
        "corruption": "corruption-images",
        "score": "score-sign",
    }
    for kind, name in sound.items():
        if kind in PROPERTIES[prop].kinds and name != prop:
            (entry,) = entries(f"{kind}:{name}", plugin="defects")
            assert [r.detail for r in check(entry, [prop]) if r.status == "failed"] == []


@pytest.mark.usefixtures("defects")
@pytest.mark.parametrize(
    ("name", "prop", "message"),
    [
        ("unused-noise", "corruption-seed", "draws random numbers but another seed gives the same"),
        ("shared-noise", "corruption-seed", "two equal images of a batch are corrupted alike"),
        ("only-uint8", "corruption-images", r"is invalid for input of size"),
        (
            "doubles",
            "corruption-images",
            r"returns torch\.float64; it must return uint8 or float32",
        ),
    ],
)
def test_other_defects_of_a_property_are_caught_too(name, prop, message):
    (entry,) = entries(f"corruption:{name}")
    with pytest.raises(ConformanceFailure, match=message):
        check_property(entry, prop)


@pytest.mark.usefixtures("defects")
def test_what_a_part_raises_is_one_line_with_the_plugin():
    (entry,) = entries("raises")
    with pytest.raises(ConformanceFailure) as caught:
        check_property(entry, "forward")
    assert str(caught.value).startswith(
        "encoder 'raises' fails 'forward': it raised RuntimeError: out of luck"
    )
    assert str(caught.value).endswith("tell plugin 'defects' of convae-defects 0.1")


@pytest.mark.usefixtures("defects")
def test_a_factory_that_returns_no_module_is_named():
    (entry,) = entries("no-module")
    with pytest.raises(
        ConformanceFailure, match=r"returns 'a string'; it must return an nn\.Module"
    ):
        check_property(entry, "forward")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({}, ""),
        ({"name": "convae-200"}, "its file says model convae-200, the registry trained"),
        ({"dataset": {"name": "svhn"}}, "its file says dataset svhn, the registry photos"),
        ({"license": "MIT"}, "its file says license MIT, the registry Apache-2.0"),
        ({"recipe": Recipe(epochs=3)}, "its file says recipe .*'epochs': 3"),
        ({"latent_dim": 9}, "holds .*'latent_dim': 9.*, not the model's config"),
    ],
)
def test_what_a_weights_file_says_must_be_what_is_registered(stored, message, plugin_site):
    model = create_model(
        "convae-200", width=2, image_size=8, latent_dim=stored.pop("latent_dim", 8)
    )
    model.plan = attrs.evolve(model.plan, name=stored.pop("name", "trained"))
    path = plugin_site.path / "trained.safetensors"
    save_model(model, path, **({"dataset": {"name": "photos"}} | stored))
    (plugin_site.path / "site_files").mkdir()
    path.rename(plugin_site.path / "site_files" / "trained.safetensors")
    digest = sha256((plugin_site.path / "site_files" / "trained.safetensors").read_bytes())
    plugin_site.install("trained-dist", {"trained": TRAINED.format(digest.hexdigest())})
    with registry.override():
        (entry,) = entries("weights:trained.photos")
        (result,) = check(entry, ["weights"])
        assert result.status == ("failed" if message else "passed")
        assert re.search(message, result.detail)


def test_what_cannot_be_checked_is_skipped_with_a_reason():
    (entry,) = entries("cifar10")
    (result,) = check(entry, ["dataset-splits"])
    assert result.status == "skipped"
    assert "--data" in result.detail


def test_onnx_is_skipped_not_passed_where_its_packages_are_missing(monkeypatch):
    monkeypatch.setattr(compiled, "missing_onnx_packages", lambda: ["onnxscript"])
    (entry,) = entries("encoder:convae")
    (result,) = check(entry, ["onnx"])
    assert (result.status, result.detail) == (
        "skipped",
        "onnxscript not installed: pip install 'convae-zoo[export]'",
    )


@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="inductor needs a C++ compiler"
)
@pytest.mark.usefixtures("defects")
@pytest.mark.parametrize(("name", "status"), [("gradients", "passed"), ("compile", "failed")])
def test_kernels_are_compiled_where_inductor_is_chosen(name, status):
    """One layer each: a sound one, and one that compiled differs."""
    (entry,) = entries(f"encoder:{name}", backend="inductor")
    (result,) = check(entry, ["compile"])
    assert result.status == status, result.detail
    assert status == "passed" or "torch.compile (inductor) changes the output" in result.detail


def test_an_unknown_backend_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown backend 'inducter'; did you mean 'induct"):
        entries("encoder:convae", backend="inducter")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_row_in_the_table_of_kinds_gets_the_checks_of_every_kind(kind):
    expected = {"listing", "config-json", "bad-config"} if kind.built else {"listing"}
    assert expected <= set(properties_of(kind.name))


def test_properties_of_a_kind_can_be_chosen_and_unknown_ones_are_refused():
    assert properties_of("loss", ["loss-minimum", "forward"]) == ["loss-minimum"]
    with pytest.raises(UnknownNameError, match="unknown property 'foward'; did you mean 'forward'"):
        properties_of("loss", ["foward"])


def test_tests_for_a_plugin_that_is_not_there_are_an_error_not_an_empty_pass():
    with pytest.raises(PluginError, match="no entry to test"):
        conformance_tests(plugin="tinny")


test_reference = conformance_tests(plugin="reference", properties=["forward", "latent", "batch"])
