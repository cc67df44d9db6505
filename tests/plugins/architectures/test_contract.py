"""What every architecture of the plugin keeps beyond the conformance kit's properties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import convae_zoo as zoo
from convae_zoo.errors import ConfigError

TRUNK = {
    "in_channels": st.integers(1, 4),
    "image_size": st.sampled_from([4, 8, 12, 20]),
    "width": st.sampled_from([1, 3, 8, 24]),
    "depth": st.integers(0, 2),
    "activation": st.sampled_from(["silu", "gelu", "relu"]),
    "norm": st.sampled_from(["none", "group"]),
}
LINEAR = {
    "in_channels": st.integers(1, 4),
    "image_size": st.sampled_from([4, 8, 12]),
    "width": st.integers(1, 5),
    "depth": st.integers(0, 2),
    "hidden": st.integers(1, 9),
    "latent_dim": st.integers(1, 16),
    "activation": st.sampled_from(["silu", "gelu", "relu"]),
}
UNET = {
    "in_channels": st.integers(1, 4),
    "image_size": st.sampled_from([8, 16, 24]),
    "width": st.integers(1, 5),
    "middle_width": st.sampled_from([4, 8]),
    "deep_width": st.sampled_from([16, 32]),
    "depth": st.integers(0, 2),
    "middle_depth": st.integers(0, 2),
}
PARTS = {
    "residual": ("residual", TRUNK | {"latent_dim": st.integers(1, 30)}),
    "variational": ("residual", TRUNK | {"latent_dim": st.integers(1, 30)}),
    "residual-spatial": ("residual-spatial", TRUNK | {"latent_channels": st.integers(1, 5)}),
    "vector-quantised": ("residual-spatial", TRUNK | {"latent_channels": st.integers(1, 5)}),
    "linear-residual": ("linear-residual", LINEAR),
    "unet": ("unet", UNET),
}


@pytest.mark.parametrize("encoder", PARTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_shapes_are_those_that_the_configs_declare(encoder, data):
    decoder, space = PARTS[encoder]
    config = data.draw(st.fixed_dictionaries(space))
    model = zoo.compose(encoder, decoder, config, config)
    x = torch.rand(3, *model.image_shape)
    z = model.eval().encode(x)
    assert model.image_shape == (config["in_channels"], config["image_size"], config["image_size"])
    assert tuple(z.shape[1:]) == model.latent_shape
    assert model.decode(z).shape == x.shape
    assert torch.isfinite(model.decode(z)).all()


@pytest.mark.parametrize(
    ("override", "value", "expected"),
    [
        ("image_size", 30, "divisible by 4"),
        ("width", 0, "at least 1"),
        ("activation", "softmax", "one of relu"),
        ("norm", "batch", "one of none, group"),
    ],
)
def test_a_bad_config_is_refused_with_what_was_expected(override, value, expected):
    with pytest.raises(ConfigError, match=expected):
        zoo.create_model("residual-200", **{override: value})


def test_a_linear_latent_larger_than_the_image_is_refused():
    with pytest.raises(ConfigError, match="at most 48, the values of an image, got 49"):
        zoo.create_model("linear-residual-200", image_size=4, latent_dim=49)


def test_gradients_reach_every_parameter(autoencoder, small_model, smooth_images):
    """From the first step they are there and finite, and from the third none is all zeros."""
    model = small_model(autoencoder)
    model.start_from_data(smooth_images(64))
    x = model.preprocess(smooth_images(16))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        y, terms = model.forward_with_terms(x)
        (functional.mse_loss(y, x) + sum(terms.values())).backward()
        for path, parameter in model.named_parameters():
            assert parameter.grad is not None, path
            assert torch.isfinite(parameter.grad).all(), path
        optimizer.step()
    still = [path for path, p in model.named_parameters() if not p.grad.any()]
    assert still == []


def test_a_state_dict_moves_all_there_is(name, small_model, smooth_images):
    model, other = small_model(name), small_model(name, seed=1)
    model.start_from_data(smooth_images(64))
    x = model.preprocess(smooth_images(4))
    model.train().forward_with_terms(x)
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(x), other.eval()(x))


def test_training_lowers_the_validation_loss(autoencoder, small_model, image_set):
    sets = (image_set(256), image_set(64, split="val", seed=1))
    model = small_model(autoencoder)
    result = zoo.train(
        model,
        dataset=sets,
        epochs=8,
        batch_size=16,
        optimizer="adam",
        learning_rate=2e-3,
        device="cpu",
        precision="fp32",
    )
    assert result.val_losses[-1] < 0.95 * result.val_losses[0]
    assert sum(result.train_losses[-16:]) < sum(result.train_losses[:16])


def test_equal_seeds_train_alike(name, small_model, image_set):
    """The draws of latents and codes, too, come from the seed."""
    sets = (image_set(64), image_set(16, split="val", seed=1))
    changes = {"epochs": 1, "batch_size": 16, "augment": "flip", "seed": 3}
    runs = [
        zoo.train(small_model(name), dataset=sets, device="cpu", **changes).train_losses
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_a_training_step_is_one_graph(name, small_model, smooth_images):
    """Nothing in it depends on the data's values, so that it compiles without a break."""
    model = small_model(name).train()
    x = model.preprocess(smooth_images(4))
    torch._dynamo.reset()
    compiled = torch.compile(model.forward_with_terms, backend="aot_eager", fullgraph=True)
    y, terms = compiled(x)
    (functional.mse_loss(y, x) + sum(terms.values())).backward()
    assert all(p.grad is not None for p in model.parameters())
