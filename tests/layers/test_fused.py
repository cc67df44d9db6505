"""The packed layers against the layers that they are made of."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convae_zoo.layers import ConvTranspose2d, fuse, fused

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN"
)

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.02}


@st.composite
def layers(draw):
    """Draw a layer and the shape of its input."""
    kind = draw(st.sampled_from([nn.Conv2d, nn.ConvTranspose2d, ConvTranspose2d, nn.Linear]))
    groups = draw(st.sampled_from([1, 2]))
    inputs, outputs = (groups * draw(st.integers(1, 9)) for _ in range(2))
    bias = draw(st.booleans())
    batch = draw(st.integers(1, 5))
    if kind is nn.Linear:
        return nn.Linear(inputs, outputs, bias), (batch, inputs)
    options = {
        "kernel_size": draw(st.integers(1, 4)),
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, 1)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": bias,
    }
    options["padding"] = min(options["padding"], options["kernel_size"] - 1)
    if kind is not nn.Conv2d and options["stride"] > 1:
        options["output_padding"] = draw(st.integers(0, 1))
    side = draw(st.integers(7, 12))
    return kind(inputs, outputs, **options), (batch, inputs, side, side)


@settings(max_examples=80, deadline=None)
@given(
    drawn=layers(),
    relu=st.booleans(),
    dtype=st.sampled_from(list(TOLERANCES)),
    seed=st.integers(0, 99),
)
def test_a_packed_layer_computes_what_the_layer_computes(drawn, relu, dtype, seed):
    layer, shape = drawn
    plain = nn.Sequential(layer, nn.ReLU() if relu else nn.Identity()).to(dtype)
    packed = copy.deepcopy(plain)
    fuse(packed)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        for batch in (shape[0], shape[0] + 1, shape[0]):
            x = torch.randn(batch, *shape[1:], generator=generator).to(dtype)
            if x.ndim == 4:
                x = x.contiguous(memory_format=torch.channels_last)
            expected = copy.deepcopy(plain).float()(x.float())
            got = packed(x)
            assert got.dtype == dtype
            scale = expected.abs().max().item() + 1
            torch.testing.assert_close(
                got.float(), expected, rtol=0, atol=TOLERANCES[dtype] * scale
            )


def test_layers_are_packed_and_their_relu_goes_into_them():
    act = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 8, 3), act, nn.Conv2d(8, 8, 3), act, nn.Conv2d(8, 3, 3))
    fuse(model)
    kinds = [type(m).__name__ for m in model]
    assert kinds == ["Fused", "Identity", "Fused", "Identity", "Fused"]
    assert [m.relu for m in model if isinstance(m, fused.Fused)] == [True, True, False]
    model(torch.randn(2, 3, 9, 9))
    assert all(m._packed[1] != m._plain for m in model if isinstance(m, fused.Fused))


def test_a_relu_outside_a_sequence_stays_where_it_is():
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.act = nn.ReLU()

        def forward(self, x):
            return self.conv(self.act(x)) + self.conv.weight.sum() + self.conv.bias.sum()

    part = Part().requires_grad_(requires_grad=False)
    x = torch.randn(2, 3, 8, 8)
    expected = part(x)
    fuse(part)
    assert isinstance(part.conv, fused.Fused)
    assert isinstance(part.act, nn.ReLU)
    torch.testing.assert_close(part(x), expected)


def test_what_may_compute_something_else_is_left_alone():
    class Own(nn.Conv2d):
        pass

    hooked = nn.Conv2d(3, 3, 3)
    hooked.register_forward_hook(lambda *_: None)
    model = nn.Sequential(
        Own(3, 3, 3),
        hooked,
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 3, 3, padding="same"),
        nn.Conv2d(3, 3, 3).double(),
        nn.Linear(3, 3),
    )
    before = list(model)
    fuse(model)
    assert list(model) == before


def test_empty_and_unbatched_input_goes_through_the_layer():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    packed = copy.deepcopy(model)
    fuse(packed)
    for shape in ((0, 3, 8, 8), (3, 8, 8)):
        x = torch.randn(shape)
        torch.testing.assert_close(packed(x), model(x))


def test_without_the_operators_the_layers_are_used(monkeypatch):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    packed = copy.deepcopy(model)
    fuse(packed)

    def gone(*_: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr(fused.Fused, "_pack", gone)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(packed(x), model(x))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("width", [8, 9])
def test_few_output_channels_are_computed_as_neighbours_where_they_fit(channels, width):
    layer = ConvTranspose2d(5, channels, 3, padding=1)
    packed = nn.Sequential(copy.deepcopy(layer), nn.ReLU())
    fuse(packed)
    x = torch.randn(2, 5, 6, width).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(packed(x), layer(x).relu(), rtol=1e-5, atol=1e-5)
