"""Optimisers by name, and recipes by name."""

import attrs
import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.data import ImageSet
from convae_zoo.errors import ConfigError, UnknownNameError, UsageError
from convae_zoo.registry import get_registry
from convae_zoo.training.optimizers import OPTIMIZERS, create_optimizer, optimizer_config

CPU = torch.device("cpu")


def parameters():
    return nn.Linear(3, 2).parameters()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_created_by_its_name_with_its_defaults(name):
    optimizer = create_optimizer(name, parameters(), 0.5, CPU, fused=False)
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}


def test_without_settings_optimizers_are_pytorchs_own():
    for name, kind in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        mine = create_optimizer(name, parameters(), 1e-3, CPU, fused=False)
        plain = kind(parameters(), lr=1e-3, fused=False)
        assert mine.defaults == plain.defaults


def test_settings_can_be_given_in_the_name():
    optimizer = create_optimizer(
        "sgd(momentum=0.9, nesterov=true)", parameters(), 1, CPU, fused=True
    )
    assert optimizer.defaults["momentum"] == 0.9
    assert optimizer.defaults["nesterov"] is True


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("adm", UnknownNameError, "unknown optimizer 'adm'; did you mean 'adam'"),
        ("muon(momntum=0.9)", UnknownNameError, "did you mean 'momentum'"),
        ("muon(momentum=2)", ConfigError, "momentum must be a number from 0 to 1, got 2"),
        ("adam(beta1=1)", ConfigError, "beta1 must be a number from 0 to 0.999999, got 1"),
        ("sgd(nesterov=true)", ConfigError, "'sgd': nesterov needs a momentum above 0"),
        ("adam + sgd", ConfigError, "optimizer 'adam \\+ sgd' must be one entry"),
        ("adam(", ConfigError, "optimizer"),
    ],
)
def test_an_invalid_optimizer_is_refused_in_one_line(text, error, message):
    with pytest.raises(error, match=message) as caught:
        optimizer_config(text)
    assert "\n" not in str(caught.value)


def test_an_optimizer_that_suits_no_parameters_shape_is_refused():
    vectors = [nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(1, 5))]
    with pytest.raises(UsageError, match="none of the 2 parameters has two rows and two columns"):
        create_optimizer("muon", vectors, 0.02, CPU, fused=False)


@pytest.fixture
def images():
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (24, 3, 8, 8), dtype=torch.uint8, generator=draw)
    return tuple(
        ImageSet(name="noise", split=split, images=part)
        for split, part in (("train", pixels[:16]), ("val", pixels[16:]))
    )


TINY = {"width": 2, "latent_dim": 4, "image_size": 8}


def test_a_recipe_of_the_model_is_chosen_by_its_name(images):
    result = zoo.train("convae-200", dataset=images, recipe="fast", epochs=1, overrides=TINY)
    assert len(result.train_losses) == 1
    spec = get_registry().get("model", "convae-200")
    assert spec.recipes["fast"].optimizer == "muon"
    assert attrs.asdict(spec.recipe)["optimizer"] == "adam"


def test_an_unknown_recipe_is_refused_with_the_nearest(images):
    with pytest.raises(UnknownNameError, match="unknown recipe 'fats'; did you mean 'fast'"):
        zoo.train("convae-200", dataset=images, recipe="fats", overrides=TINY)


def test_an_unknown_optimizer_is_refused_before_data_is_loaded():
    with pytest.raises(UnknownNameError, match="unknown optimizer 'adma'"):
        zoo.train("convae-200", dataset="no-such-dataset", optimizer="adma", overrides=TINY)


def test_a_run_with_muon_resumes_bit_for_bit(images, tmp_path):
    settings = {"dataset": images, "overrides": TINY, "optimizer": "muon", "batch_size": 4}
    whole = zoo.train("convae-200", **settings, epochs=2, learning_rate=0.02)
    settings["out"] = tmp_path / "run"
    zoo.train("convae-200", **settings, epochs=1, learning_rate=0.02)
    resumed = zoo.train("convae-200", **settings, epochs=2, learning_rate=0.02, resume=True)
    assert resumed.train_losses == whole.train_losses
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_resuming_under_another_optimizer_is_refused(images, tmp_path):
    settings = {"dataset": images, "overrides": TINY, "out": tmp_path / "run"}
    zoo.train("convae-200", **settings, epochs=1)
    with pytest.raises(zoo.ZooError, match="started with optimizer adam but is resumed with muon"):
        zoo.train("convae-200", **settings, epochs=2, optimizer="muon", resume=True)
