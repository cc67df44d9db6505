"""Trained weights as entries: any distribution may ship those of any model."""

from importlib.metadata import distribution

import pytest

from convae_zoo import load_model
from convae_zoo.cli import main
from convae_zoo.errors import UnknownNameError, UsageError, ZooWarning
from convae_zoo.registry import find_model, list_models, override
from convae_zoo.registry.discovery import new_manager
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import ModelSpec, Provenance, WeightsSpec
from registries import registry_of

FILE = {"file": "p:f.safetensors", "sha256": "0" * 64}


def model(*tags, **more):
    weights = [WeightsSpec(tag=tag, dataset="photos", **FILE) for tag in tags]
    return ModelSpec(name="m", encoder="e", decoder="d", weights=weights, **more)


def weights(tag, of="m", **more):
    return WeightsSpec(model=of, tag=tag, dataset="photos", **(FILE | more))


MODEL, WEIGHTS = {"models": [model("own")]}, {"weights": [weights("theirs")]}


@pytest.mark.parametrize(
    "plugins",
    [{"author": MODEL, "other": WEIGHTS}, {"other": WEIGHTS, "author": MODEL}],
    ids=["model first", "weights first"],
)
def test_a_model_has_the_weights_of_every_distribution_whatever_the_order(plugins):
    with override(registry_of(**plugins)):
        spec, found = find_model("m.theirs")
        assert list_models(pretrained=True) == ["m.own", "m.theirs"]
    assert found.provenance.distribution == "other-dist"
    assert spec.provenance.distribution == "author-dist"
    assert {w.tag: w.provenance.plugin for w in spec.weights} == {
        "own": "author",
        "theirs": "other",
    }


@pytest.mark.parametrize(
    "first",
    [{"weights": [weights("same")]}, {"models": [model("same")]}],
    ids=["registered alone", "of the model's own plugin"],
)
def test_a_tag_that_two_distributions_claim_names_both_and_keeps_the_first(first):
    second = {"weights": [weights("other"), weights("same")]}
    with pytest.warns(
        ZooWarning, match="weights 'm.same' of two-dist is already registered by one-dist"
    ):
        registry = registry_of(one=first, two=second)
    assert registry.names("weights") == ["m.same"], "the second plugin is left out whole"
    assert registry.get("weights", "m.same").provenance.distribution == "one-dist"


def test_a_model_whose_own_tag_is_taken_is_left_out_too():
    with pytest.warns(ZooWarning, match="'m.same' of two-dist is already registered by one-dist"):
        registry = registry_of(
            one={"weights": [weights("same")]}, two={"models": [model("same", "own")]}
        )
    assert registry.names("model") == []
    assert registry.names("weights") == ["m.same"]


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ({"model_distribution": "author-dist"}, "pip install author-dist"),
        ({}, "install the distribution that registers it"),
    ],
)
def test_weights_of_a_model_that_is_not_installed_are_listed_and_say_what_to_install(more, how):
    registry = registry_of(other={"weights": [weights("theirs", **more)]})
    assert registry.names("weights") == ["m.theirs"]
    with override(registry), pytest.raises(UnknownNameError) as caught:
        find_model("m.theirs")
    assert str(caught.value) == (
        f"weights 'm.theirs' of other-dist are for model 'm', which is not installed; {how}"
    )
    with override(registry):
        assert list_models(pretrained=True) == []


def test_a_tag_that_is_not_found_names_the_distribution_with_more_weights():
    author = {"models": [model("own", weights_distribution="More_Dist")]}
    with override(registry_of(author=author)), pytest.raises(UnknownNameError) as caught:
        find_model("m.big")
    assert str(caught.value) == (
        "unknown weights of model 'm': 'big'; known: own. "
        "(more trained weights of 'm': pip install More_Dist)"
    )
    installed = registry_of(author=author, more={"weights": [weights("small")]})
    with override(installed), pytest.raises(UnknownNameError) as caught:
        find_model("m.big")
    assert "pip install" not in str(caught.value), "it would not help"


def test_registered_weights_must_name_their_model():
    with pytest.warns(ZooWarning, match="weights 'photos' must name their model"):
        registry_of(other={"weights": [weights("photos", of="")]})
    with pytest.raises(ValueError, match="model 'm' has weights of model 'n'"):
        ModelSpec(name="m", encoder="e", decoder="d", weights=[weights("photos", of="n")])


@pytest.fixture
def zoo_alone():
    """The registry where only the zoo's own distribution is installed."""
    manager = new_manager()
    for point in distribution("convae-zoo").entry_points:
        if point.group == "convae_zoo":
            manager.add(Provenance(point.name, "convae-zoo", "1"), point.load)
    with override(build_registry(manager)):
        yield


@pytest.mark.usefixtures("zoo_alone")
@pytest.mark.parametrize(
    "args",
    [
        ("show", "linear-residual-200.photos"),
        ("evaluate", "convae-200.fashion-mnist", "--dataset", "photos"),
        ("evaluate", "convae-1000", "--dataset", "photos"),
    ],
)
def test_weights_of_the_other_distribution_say_to_install_it(args, capsys):
    assert main(list(args)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install convae-zoo-weights" in error
    with pytest.raises(UsageError, match="pip install convae-zoo-weights"):
        load_model(args[1])
