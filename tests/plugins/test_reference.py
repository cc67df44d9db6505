"""The reference plugin is the article's network: weights move both ways with equal outputs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import convae_zoo as zoo
from convae_zoo.errors import ConfigError


class Encoder(nn.Module):
    """The article's encoder, as plain PyTorch."""

    def __init__(self, channels=3, width=16, latent_dim=200):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * width * 8 * 8, latent_dim),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Decoder(nn.Module):
    """The article's decoder, as plain PyTorch."""

    def __init__(self, channels=3, width=16, latent_dim=200):
        super().__init__()
        self.width = width
        self.linear = nn.Sequential(nn.Linear(latent_dim, 4 * width * 8 * 8), nn.ReLU())
        self.conv = nn.Sequential(
            nn.ConvTranspose2d(4 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 3, padding=1, stride=2, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 3, padding=1, stride=2, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 3, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.conv(self.linear(z).view(-1, 4 * self.width, 8, 8))


class PlainAutoencoder(nn.Module):
    """The article's autoencoder: both parts are built, then each is given its start values."""

    def __init__(self, latent_dim=200):
        super().__init__()
        self.encoder = Encoder(latent_dim=latent_dim)
        self.encoder.apply(_start)
        self.decoder = Decoder(latent_dim=latent_dim)
        self.decoder.apply(_start)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def _start(module):
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        module.bias.data.fill_(0.01)


def _check_equal(ours, plain):
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        z = plain.encoder(x)
        torch.testing.assert_close(ours.encode(x), z, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.decode(z), plain.decoder(z), rtol=0, atol=1e-5)
        torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("latent_dim", [200, 1000])
def test_the_articles_weights_load_strictly_with_equal_outputs(latent_dim):
    plain = PlainAutoencoder(latent_dim)
    ours = zoo.create_model(f"convae-{latent_dim}")
    ours.load_state_dict(plain.state_dict(), strict=True)
    _check_equal(ours, plain)


@pytest.mark.parametrize("latent_dim", [200, 1000])
def test_our_weights_load_strictly_into_the_article_with_equal_outputs(latent_dim):
    plain = PlainAutoencoder(latent_dim)
    ours = zoo.create_model(f"convae-{latent_dim}")
    plain.load_state_dict(ours.state_dict(), strict=True)
    _check_equal(ours, plain)


def test_weights_move_through_a_file(tmp_path):
    ours = zoo.create_model("convae-200")
    zoo.save_model(ours, tmp_path / "m.safetensors")
    plain = PlainAutoencoder()
    plain.load_state_dict(zoo.load_model(tmp_path / "m.safetensors").state_dict(), strict=True)
    _check_equal(ours, plain)


def test_parameters_have_the_articles_names():
    layers = [f"encoder.net.{i}" for i in (0, 2, 4, 6, 8, 10, 13)]
    layers += ["decoder.linear.0"] + [f"decoder.conv.{i}" for i in (0, 2, 4, 6, 8, 10)]
    expected = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    model = zoo.create_model("convae-200")
    assert list(model.state_dict()) == expected
    assert [name for name, _ in model.named_parameters()] == expected


def test_equal_seeds_give_the_articles_start_values():
    torch.manual_seed(3)
    plain = PlainAutoencoder()
    torch.manual_seed(3)
    ours = zoo.create_model("convae-200").state_dict()
    assert all(torch.equal(ours[name], value) for name, value in plain.state_dict().items())


def test_convolutions_and_linear_layers_start_xavier_uniform_with_bias_a_hundredth():
    model = zoo.create_model("convae-200")
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 8
    for layer in layers:
        area = math.prod(layer.weight.shape[2:])
        bound = math.sqrt(6 / ((layer.weight.shape[0] + layer.weight.shape[1]) * area))
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.15)
        assert (layer.bias == 0.01).all()


def test_transposed_convolutions_start_as_pytorch_starts_them():
    """Their bounds are those of a fresh layer, not Xavier's, and no bias is a hundredth."""
    model = zoo.create_model("convae-200")
    layers = [m for m in model.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert len(layers) == 6
    for layer in layers:
        torch.manual_seed(0)
        fresh = nn.ConvTranspose2d(layer.in_channels, layer.out_channels, 3)
        bound = 1 / math.sqrt(layer.out_channels * 9)
        for mine, theirs in ((layer.weight, fresh.weight), (layer.bias, fresh.bias)):
            assert mine.abs().max() <= bound
            assert theirs.abs().max() <= bound
        assert 0.9 * bound < layer.weight.abs().max()
        assert layer.weight.std().item() == pytest.approx(fresh.weight.std().item(), rel=0.15)
        assert not (layer.bias == 0.01).any()


@settings(max_examples=25, deadline=None)
@given(
    in_channels=st.integers(1, 5),
    width=st.integers(1, 6),
    latent_dim=st.integers(1, 40),
    image_size=st.integers(1, 12).map(lambda n: 4 * n),
    activation=st.sampled_from(["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"]),
    batch=st.integers(1, 3),
)
def test_other_sizes_and_activations_give_the_declared_shapes(
    in_channels, width, latent_dim, image_size, activation, batch
):
    model = zoo.create_model(
        "convae-200",
        in_channels=in_channels,
        width=width,
        latent_dim=latent_dim,
        image_size=image_size,
        activation=activation,
    )
    x = torch.rand(batch, in_channels, image_size, image_size)
    z = model.encode(x)
    assert z.shape == (batch, latent_dim)
    assert model.latent_shape == (latent_dim,)
    assert model.decode(z).shape == x.shape
    assert model.image_shape == x.shape[1:]


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("relu", nn.ReLU),
        ("leaky_relu", nn.LeakyReLU),
        ("elu", nn.ELU),
        ("gelu", nn.GELU),
        ("silu", nn.SiLU),
        ("tanh", nn.Tanh),
    ],
)
def test_the_activation_is_everywhere_but_on_the_last_layer(activation, kind):
    model = zoo.create_model("convae-200", activation=activation)
    assert [i for i, m in enumerate(model.encoder.net) if isinstance(m, kind)] == [
        *(1, 3, 5, 7, 9, 11),
        14,
    ]
    assert isinstance(model.decoder.linear[1], kind)
    assert [i for i, m in enumerate(model.decoder.conv) if isinstance(m, kind)] == [1, 3, 5, 7, 9]
    assert len(model.decoder.conv) == 11


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_size", 30),
        ("image_size", 0),
        ("latent_dim", 0),
        ("latent_dim", 2.0),
        ("width", -1),
        ("in_channels", True),
        ("activation", "swish"),
    ],
)
def test_a_value_out_of_range_is_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} must be"):
        zoo.create_model("convae-200", **{field: value})


def test_the_recipe_is_the_articles():
    for name in ("convae-200", "convae-1000"):
        info = zoo.model_info(name)
        assert info.value_range == (-1.0, 1.0)
        recipe = info.recipe
        assert (recipe.loss, recipe.optimizer, recipe.learning_rate) == ("mse", "adam", 1e-3)
        assert (recipe.batch_size, recipe.epochs, recipe.shuffle) == (64, 10, False)
