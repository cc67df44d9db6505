"""Codes are packed to the bits they need and come back exactly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import convae_zoo as zoo
from convae_zoo.errors import DataError, PluginError
from convae_zoo.tasks.compress.codes import Codes, checked_codes, codes_of, to_codes


@settings(deadline=None)
@given(
    count=st.integers(1, 2**20),
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    images=st.integers(0, 5),
)
def test_codes_come_back_from_as_many_bits_as_they_need(count, shape, images):
    codes = Codes(count, tuple(shape))
    numbers = torch.randint(count, (images, *shape))
    packed = codes.pack(numbers)
    assert packed.shape == (images, codes.bytes)
    assert torch.equal(codes.unpack(packed), numbers)
    assert 2**codes.bits >= count
    assert count < 3 or 2 ** (codes.bits - 1) < count


def test_a_number_that_is_no_code_is_refused():
    codes = Codes(5, (2,))
    with pytest.raises(DataError, match="a code is 7, but codes must be below 5"):
        codes.unpack(codes.pack(torch.tensor([[0, 7]])))


def test_a_model_whose_latents_are_floats_has_no_codes():
    assert codes_of(zoo.create_model("convae-200", width=2, latent_dim=3, image_size=8)) is None


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = zoo.create_model("vector-quantised-512", width=4, latent_channels=6, image_size=8)
    return model.eval()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z: z,
        lambda _: None,
        lambda z: torch.zeros(len(z), dtype=torch.int64),
        lambda z: torch.full((len(z), 2, 2), 512),
        lambda z: torch.full((len(z), 2, 2), -1),
    ],
)
def test_codes_of_the_wrong_form_name_the_plugin(model, wrong):
    model.encoder.to_codes = wrong
    with pytest.raises(PluginError, match=r"encoder 'vector-quantised' .* to_codes must return"):
        to_codes(model, torch.zeros(3, 6, 2, 2))


def test_codes_that_do_not_hold_the_latent_name_the_plugin(model):
    model.encoder.to_codes = lambda z: torch.zeros(len(z), 2, 2, dtype=torch.int64)
    with torch.no_grad():
        latent = model.encode(torch.randn(3, 3, 8, 8))
    with pytest.raises(
        PluginError, match="from_codes does not restore the latents given to its to_codes"
    ):
        checked_codes(model, latent)
