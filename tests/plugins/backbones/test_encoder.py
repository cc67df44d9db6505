"""The encoder: value range, bottleneck, frozen backbone, saved models."""

import pytest
import torch
from convae_backbones.encoder import BackboneEncoder

from convae_zoo import compose, create_model, load_model, save_model, train
from convae_zoo.data import ImageSet
from convae_zoo.errors import ConfigError, ContractError

SMALL = {"image_size": 64, "latent_dim": 8}


@pytest.mark.parametrize(
    ("backbone", "size", "latent_dim", "floats"),
    [
        ("vgg16", 224, 0, 25088),
        ("vgg16", 32, 0, 512),
        ("resnet18", 64, 0, 2048),
        ("convnext_tiny", 64, 0, 3072),
        ("efficientnet_b0", 96, 0, 11520),
        ("efficientnet_b0", 96, 5, 5),
    ],
)
def test_the_latent_is_the_flattened_features_or_the_bottleneck(backbone, size, latent_dim, floats):
    with torch.device("meta"):
        encoder = BackboneEncoder(backbone, image_size=size, latent_dim=latent_dim).eval()
        assert encoder(torch.empty(2, 3, size, size)).shape == (2, floats)


def test_both_value_ranges_give_equal_latents(images):
    torch.manual_seed(0)
    model = create_model("vgg16-512", **SMALL, width=4).eval()
    parts = {"image_size": 64, "latent_dim": 8}
    other = compose("vgg16", "vgg16-mirror", parts, {**parts, "width": 4}, value_range=(0, 1))
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        latents = [m.encode(m.preprocess(images)) for m in (model, other.eval())]
    torch.testing.assert_close(*latents)
    assert latents[0].std() > 0.01


def test_another_value_range_than_the_models_is_refused():
    with pytest.raises(ContractError, match=r"'vgg16' has value_range \(0.0, 1.0\)"):
        create_model("vgg16-512", value_range=[0.0, 1.0])


@pytest.mark.parametrize("encoder", ["resnet18", "efficientnet_b0"])
def test_with_batch_norms_an_image_must_leave_more_than_one_feature(encoder):
    with pytest.raises(ConfigError, match="image_size must be a whole number of at least 64"):
        create_model(f"{encoder}-512", image_size=32)


def test_training_leaves_a_frozen_backbone_as_it_was_and_moves_the_rest(images):
    """Its batch norms' statistics stay too."""
    torch.manual_seed(0)
    model = create_model("efficientnet_b0-512", **SMALL, width=4, frozen=True)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    pair = [ImageSet(name="noise", split=s, images=images) for s in ("train", "val")]
    train(model, dataset=tuple(pair), epochs=2, batch_size=2, precision="fp32", progress=False)
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {k for k in before if not k.startswith("encoder.features.")}


def test_training_moves_a_backbone_that_is_not_frozen(images):
    model = create_model("efficientnet_b0-512", **SMALL, width=4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    pair = [ImageSet(name="noise", split=s, images=images) for s in ("train", "val")]
    train(model, dataset=tuple(pair), epochs=1, batch_size=2, precision="fp32", progress=False)
    after = model.state_dict()
    name = "encoder.features.0.1.running_mean"
    assert not torch.equal(after[name], before[name])
    assert not torch.equal(
        after["encoder.features.0.0.weight"], before[name.replace("1.running_mean", "0.weight")]
    )


def test_a_saved_model_loads_where_its_start_weights_are_not(trained, tmp_path, images):
    _, file = trained
    model = create_model("efficientnet_b0-512", **SMALL, width=4, weights=str(file)).eval()
    save_model(model, tmp_path / "model.safetensors")
    file.unlink()
    loaded = load_model(tmp_path / "model.safetensors")
    x = model.preprocess(images)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))
