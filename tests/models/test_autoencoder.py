"""The autoencoder that joins an encoder and a decoder."""

import copy
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convae_zoo import __version__, compose, create_model
from convae_zoo.errors import ConfigError, ContractError, DataError, PluginError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.plan import plan_model

SMALL = {"width": 2, "latent_dim": 5, "image_size": 8}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("convae-200", **SMALL).eval()


class Penalized(nn.Module):
    """A part that adds a loss term of its own."""

    def __init__(self, part, **terms):
        super().__init__()
        self.part, self.terms = part, terms

    def forward(self, x):
        return self.part(x)

    def forward_with_terms(self, x):
        output = self(x)
        return output, {name: weight * output.mean() for name, weight in self.terms.items()}


def test_the_state_dict_has_the_names_of_its_parts(model):
    names = set(model.state_dict())
    assert {name.split(".")[0] for name in names} == {"encoder", "decoder"}
    assert {"encoder.net.0.weight", "decoder.linear.0.bias", "decoder.conv.10.weight"} <= names


def test_forward_is_decode_of_encode(model):
    x = torch.randn(3, 3, 8, 8)
    latent = model.encode(x)
    assert latent.shape == (3, 5) == (3, *model.latent_shape)
    assert torch.equal(model(x), model.decode(latent))
    assert model(x).shape == x.shape == (3, *model.image_shape)


def test_its_repr_is_one_line_with_name_and_shapes(model):
    assert model.name == "convae-200"
    assert model.device == torch.device("cpu")
    line = r"Autoencoder\(convae-200: 3×8×8 -> 5 -> 3×8×8, [\d,]+ parameters\)"
    assert re.fullmatch(line, repr(model))


def test_parts_without_terms_add_none(model):
    x = torch.randn(2, 3, 8, 8)
    images, terms = model.forward_with_terms(x)
    assert torch.equal(images, model(x))
    assert terms == {}


def test_terms_of_both_parts_are_collected_and_carry_gradients(model):
    both = Autoencoder(
        Penalized(model.encoder, kl=2.0), Penalized(model.decoder, tv=3.0), plan=model.plan
    )
    x = torch.randn(2, 3, 8, 8)
    images, terms = both.forward_with_terms(x)
    latent = model.encode(x)
    assert torch.equal(images, model(x))
    assert set(terms) == {"kl", "tv"}
    torch.testing.assert_close(terms["kl"], 2 * latent.mean())
    torch.testing.assert_close(terms["tv"], 3 * images.mean())
    sum(terms.values()).backward()
    assert both.encoder.part.net[0].weight.grad.abs().sum() > 0


def test_terms_of_the_same_name_are_added(model):
    both = Autoencoder(
        Penalized(model.encoder, kl=2.0), Penalized(model.decoder, kl=3.0), plan=model.plan
    )
    x = torch.randn(2, 3, 8, 8)
    images, terms = both.forward_with_terms(x)
    torch.testing.assert_close(terms["kl"], 2 * model.encode(x).mean() + 3 * images.mean())


def test_every_uint8_value_survives_the_models_range(model):
    values = torch.arange(256, dtype=torch.uint8)
    images = torch.zeros(3, 8, 8, dtype=torch.uint8).repeat(4, 1, 1, 1)
    images.view(-1)[:256] = values
    floats = model.preprocess(images)
    assert floats.dtype == torch.float32
    assert (floats.min(), floats.max()) == (-1.0, 1.0)
    assert torch.equal(model.postprocess(floats), images)


def test_what_is_outside_the_range_is_clipped(model):
    x = torch.tensor([-9.0, 9.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    assert model.postprocess(x).view(2, -1).tolist() == [[0] * 192, [255] * 192]


def test_pictures_of_many_forms_are_accepted(model, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    wanted = model.preprocess(array)
    assert wanted.shape == (1, 3, 8, 8)
    for form in (path, str(path), Image.open(path), torch.from_numpy(array).permute(2, 0, 1)):
        assert torch.equal(model.preprocess(form), wanted)
    assert torch.equal(model.preprocess([path, array]), torch.cat([wanted, wanted]))


def test_a_form_that_is_no_picture_is_refused(model):
    with pytest.raises(DataError, match="a picture must be a PIL image, a path"):
        model.preprocess(3)


def test_preprocess_goes_to_the_models_device():
    model = create_model("convae-200", **SMALL).to("meta")
    assert model.preprocess(np.zeros((8, 8, 3), np.uint8)).device.type == "meta"


def test_a_model_without_weights_is_on_the_cpu():
    plan = plan_model("convae-200")
    assert Autoencoder(nn.Identity(), nn.Identity(), plan=plan).device == torch.device("cpu")


def test_a_model_can_be_copied(model):
    other = copy.deepcopy(model)
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(other(x), model(x))
    assert other.name == model.name


def test_a_decoder_whose_output_has_another_shape_than_declared_is_reported_with_its_plugin(model):
    model.decoder = nn.Sequential(model.decoder, nn.Upsample(scale_factor=2))
    for call in (model, model.forward_with_terms):
        with pytest.raises(PluginError) as caught:
            call(torch.rand(2, 3, 8, 8))
        assert str(caught.value) == (
            f"decoder 'convae' of plugin 'reference' (convae-zoo {__version__}): its output must "
            "be a tensor float32 N×3×8×8, got float32 2×3×16×16; "
            "report the output of 'convae-zoo verify convae' to its author"
        )


@pytest.mark.parametrize("latent", [None, "tuple", "wide"])
def test_an_encoder_whose_latent_has_another_shape_than_declared_is_reported_with_its_plugin(
    model, latent
):
    class Odd(nn.Module):
        def forward(self, x):
            return {"tuple": (x, x), "wide": x.new_zeros(len(x), 6)}.get(latent)

    model.encoder = Odd()
    for call in (model, model.forward_with_terms, model.encode):
        with pytest.raises(PluginError, match=r"encoder 'convae' .* latent must be .* N×5, got"):
            call(torch.rand(2, 3, 8, 8))


def test_encode_and_decode_compute_no_gradients_in_eval_mode(model):
    x = model.preprocess(np.zeros((8, 8, 3), np.uint8))
    latent = model.encode(x)
    assert latent.numpy().shape == (1, 5)
    assert not model.decode(model.encoder(x)).requires_grad
    assert model.encoder(x).requires_grad
    assert model(x).requires_grad


def test_in_training_mode_every_call_keeps_its_gradients(model):
    x = torch.rand(4, 3, 8, 8)
    model.train()
    assert model.encode(x).requires_grad
    assert model.decode(model.encode(x)).requires_grad
    model.decode(model.encode(x)).sum().backward()
    assert model.encoder.net[0].weight.grad.any()


@pytest.mark.parametrize("size", [(7, 7), (8, 7), (12, 12), (64, 64)])
def test_a_model_of_a_fixed_size_refuses_images_of_another(model, size):
    x = torch.zeros(2, 3, *size)
    for call in (model, model.forward_with_terms, model.encode):
        with pytest.raises(ContractError) as caught:
            call(x)
        start = f"model 'convae-200' takes images N×3×8×8, got 2×3×{size[0]}×{size[1]}; fit them"
        assert str(caught.value).startswith(start)
        assert "\n" not in str(caught.value)


def test_images_of_other_channels_are_refused(model):
    with pytest.raises(ContractError, match=r"takes images N×3×8×8, got 2×1×8×8; fit them"):
        model(torch.zeros(2, 1, 8, 8))


def test_a_fully_convolutional_model_accepts_every_size_that_it_preserves():
    torch.manual_seed(0)
    model = create_model("residual-spatial-192", width=2, image_size=8).eval()
    for size in ((8, 8), (12, 8), (64, 40)):
        x = torch.randn(2, 3, *size)
        assert model(x).shape == model.forward_with_terms(x)[0].shape == x.shape
        assert torch.equal(model.encode(x), model.encoder(x))
        assert torch.equal(model.decode(model.encode(x)), model(x))
    for call in (model, model.encode):
        with pytest.raises(ContractError, match=r"takes images N×3×8×8, got 2×3×9×8; fit"):
            call(torch.zeros(2, 3, 9, 8))


@pytest.mark.parametrize(
    "value_range", [(0, 5e-324), (1, 1), (1, 0), (0, float("nan")), (0, 10**400), "01", None, (1,)]
)
def test_a_value_range_that_cannot_hold_pixels_is_refused(value_range):
    with pytest.raises(ConfigError, match=r"^value_range must be \(low, high\) with low < high"):
        compose("convae", "convae", value_range=value_range)
