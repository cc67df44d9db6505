"""Specs: what a plugin registers."""

import string

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from convae_zoo.registry.specs import (
    DatasetSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Recipe,
    WeightsSpec,
)

FIRST = string.ascii_lowercase + string.digits
SPECS = [
    lambda name: LossSpec(name=name, factory="a:B"),
    lambda name: ModelSpec(name=name, encoder="a", decoder="b"),
    lambda name: WeightsSpec(tag=name, dataset="photos"),
]


@pytest.mark.parametrize("make", SPECS)
@given(name=st.builds(str.__add__, st.sampled_from(FIRST), st.text(FIRST + "-_")))
def test_a_name_is_lower_case_letters_digits_dash_and_underscore(make, name):
    spec = make(name)
    assert name in {getattr(spec, "name", None), getattr(spec, "tag", None)}


@pytest.mark.parametrize("make", SPECS)
@given(name=st.text().filter(lambda t: not t or t[0] not in FIRST or set(t) - {*FIRST, *"-_"}))
@example("convae.200")
@example("Convae")
@example("-a")
@example("a\n")
@example("é")
def test_any_other_name_is_refused(make, name):
    with pytest.raises(ValueError, match="must be lower-case letters, digits, '-' and '_'"):
        make(name)


@pytest.mark.parametrize("name", [None, 3, b"a"])
def test_a_name_is_a_string(name):
    with pytest.raises(ValueError, match="must be lower-case"):
        LossSpec(name=name, factory="a:B")


@pytest.mark.parametrize("factory", ["", "module", "module:", ":Name", None, 3])
def test_a_factory_is_an_import_string_or_a_callable(factory):
    with pytest.raises(ValueError, match=r"must be 'package.module:Attribute' or a callable"):
        LossSpec(name="x", factory=factory)


def test_a_callable_is_a_factory_too():
    assert LossSpec(name="x", factory=dict).factory is dict


def test_a_config_is_an_attrs_class():
    with pytest.raises(ValueError, match="config must be an attrs class, got <class 'dict'>"):
        EncoderSpec(name="x", factory="a:B", config=dict)


def test_every_field_of_a_config_has_a_default():
    made = attrs.make_class("Config", {"width": attrs.field(), "depth": attrs.field(default=1)})
    with pytest.raises(ValueError, match="Config has fields without a default: width"):
        DatasetSpec(name="x", factory="a:B", config=made)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"learning_rate": -1e-3}, "learning_rate must be a number from"),
        ({"precision": "fp8"}, "precision must be one of auto, fp32, bf16"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"shuffle": "no"}, "shuffle must be true or false"),
    ],
)
def test_a_recipe_refuses_what_cannot_be_trained(values, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**values)


def test_weights_with_a_file_need_its_sha256():
    with pytest.raises(ValueError, match="weights 'photos' have a file but no sha256"):
        WeightsSpec(tag="photos", dataset="photos", file="pack:a.safetensors")


SHA256 = "0123456789abcdef" * 4
FILE, HUB, URL = {"file": "pack:a.safetensors"}, {"hub": "org/name"}, {"url": "https://h/a"}


@pytest.mark.parametrize("source", [FILE, HUB, URL, {"url": "http://127.0.0.1:80/a"}])
def test_weights_have_one_source_with_its_sha256(source):
    weights = WeightsSpec(tag="t", dataset="d", sha256=SHA256, **source)
    assert weights.trained
    assert weights.remote is ("file" not in source)


def test_weights_without_a_source_are_untrained():
    weights = WeightsSpec(tag="t", dataset="d")
    assert not weights.trained
    assert not weights.remote


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (FILE | HUB, "have file and hub; name one source"),
        (HUB | URL, "have hub and url; name one source"),
        (HUB | {"sha256": None}, "have a hub but no sha256"),
        (URL | {"sha256": None}, "have a url but no sha256"),
        (HUB | {"sha256": SHA256.upper()}, "sha256 must be 64 lower-case hex digits"),
        (HUB | {"sha256": SHA256[:-1]}, "sha256 must be 64 lower-case hex digits"),
        ({"hub": "name"}, "hub must be 'org/name'"),
        ({"hub": "org/name/more"}, "hub must be 'org/name'"),
        ({"hub": "org/na me"}, "hub must be 'org/name'"),
        (HUB | {"filename": "model.bin"}, "filename must end in .safetensors"),
        ({"url": "http://example.org/a"}, "url must be an https address"),
        ({"url": "file:///a"}, "url must be an https address"),
        ({"url": "https://"}, "url must be an https address"),
        ({"url": "https://h/a b"}, "url must be an https address"),
        ({"url": "https://[h/a"}, "url must be an https address"),
    ],
)
def test_weights_refuse_an_invalid_source(values, message):
    with pytest.raises(ValueError, match=message):
        WeightsSpec(**{"tag": "t", "dataset": "d", "sha256": SHA256, **values})


def test_a_model_finds_its_weights_by_tag():
    one, two = (WeightsSpec(tag=t, dataset="photos") for t in ("one", "two"))
    model = ModelSpec(name="m", encoder="e", decoder="d", weights=[one, two])
    assert model.tag("two") == attrs.evolve(two, model="m")
    assert model.tag("three") is None


def test_two_weights_with_the_same_tag_are_refused():
    weights = [WeightsSpec(tag="one", dataset=d) for d in ("photos", "mnist")]
    with pytest.raises(ValueError, match="model 'm' has two weights with the same tag"):
        ModelSpec(name="m", encoder="e", decoder="d", weights=weights)


def test_a_spec_cannot_be_changed_not_even_through_the_mapping_passed_to_it():
    config = {"latent_dim": 3}
    model = ModelSpec(name="m", encoder="e", decoder="d", encoder_config=config)
    config["latent_dim"] = 4
    assert model.encoder_config == {"latent_dim": 3}
    with pytest.raises(TypeError):
        model.encoder_config["latent_dim"] = 5
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        model.encoder = "other"
