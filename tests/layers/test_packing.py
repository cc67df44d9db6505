"""Packed layers against the layers that they are made of."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convae_zoo.layers import packing
from convae_zoo.layers.rearrange import to_channels_last

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN"
)

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.02}


ACTIVATIONS = {
    packing.NO_ACTIVATION: nn.Identity(),
    packing.RELU: nn.ReLU(),
    packing.Activation("swish"): nn.SiLU(),
    packing.Activation("tanh"): nn.Tanh(),
    packing.Activation("leaky_relu", (0.2,)): nn.LeakyReLU(0.2),
    packing.Activation("gelu", formula="tanh"): nn.GELU("tanh"),
}


@st.composite
def layers(draw):
    """Draw a layer and the shape of its input."""
    kind = draw(st.sampled_from(["linear", "convolution", "transposed"]))
    groups = draw(st.sampled_from([1, 2]))
    inputs, outputs = (groups * draw(st.integers(1, 9)) for _ in range(2))
    bias = torch.randn(outputs) if draw(st.booleans()) else None
    batch = draw(st.integers(1, 5))
    if kind == "linear":
        weight = torch.randn(outputs, inputs) / inputs
        return packing.Layer(kind=kind, weight=weight, bias=bias), (batch, inputs)
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    channels = (inputs, outputs // groups) if kind == "transposed" else (outputs, inputs // groups)
    more = {
        "stride": (stride, stride),
        "padding": (min(draw(st.integers(0, 1)), kernel - 1),) * 2,
        "dilation": (draw(st.integers(1, 2)),) * 2,
        "groups": groups,
    }
    if kind == "transposed" and stride > 1:
        more["output_padding"] = (draw(st.integers(0, 1)),) * 2
    side = draw(st.integers(7, 12))
    weight = torch.randn(*channels, kernel, kernel) / (inputs * kernel)
    layer = packing.Layer(kind=kind, weight=weight, bias=bias, **more)
    return layer, (batch, inputs, side, side)


def close(got, expected, dtype):
    assert got.dtype == dtype
    scale = expected.abs().max().item() + 1
    torch.testing.assert_close(got.float(), expected, rtol=0, atol=TOLERANCES[dtype] * scale)


@settings(max_examples=80, deadline=None)
@given(
    drawn=layers(),
    activation=st.sampled_from(list(ACTIVATIONS)),
    dtype=st.sampled_from(list(TOLERANCES)),
    seed=st.integers(0, 99),
)
def test_a_packed_layer_computes_what_the_layer_and_its_activation_compute(
    drawn, activation, dtype, seed
):
    layer, shape = drawn
    layer = layer.to(dtype)
    generator = torch.Generator().manual_seed(seed)
    kernel = None
    for batch in (shape[0], shape[0] + 1, 1):  # one packing serves every batch size
        x = torch.randn(batch, *shape[1:], generator=generator).to(dtype)
        x = to_channels_last(x) if x.ndim == 4 else x
        kernel = kernel or packing.pack(layer, x, activation)
        expected = ACTIVATIONS[activation](layer.to(torch.float32)(x.float()))
        close(kernel(x), expected, dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("after", [packing.NO_ACTIVATION, packing.RELU])
def test_a_packed_layer_adds_a_second_tensor(dtype, after):
    weight = torch.randn(7, 5, 3, 3)
    conv = packing.Layer(kind="convolution", weight=weight, padding=(1, 1)).to(dtype)
    x, other = (to_channels_last(torch.randn(2, c, 6, 6).to(dtype)) for c in (5, 7))
    expected = ACTIVATIONS[after](conv.to(torch.float32)(x.float()) + other.float())
    close(packing.pack_with_addition(conv, x, after)(x, other), expected, dtype)
    linear = packing.Layer(kind="linear", weight=weight[..., 0, 0]).to(dtype)
    x, other = torch.randn(3, 5).to(dtype), torch.randn(3, 7).to(dtype)
    expected = linear.to(torch.float32)(x.float()) + other.float()
    close(packing.pack_with_addition(linear, x)(x, other), expected, dtype)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("width", [8, 9])
def test_few_output_channels_are_computed_as_neighbours_where_they_fit(channels, width):
    weight = torch.randn(5, channels, 3, 3)
    layer = packing.Layer(kind="transposed", weight=weight, padding=(1, 1))
    x = to_channels_last(torch.randn(2, 5, 6, width))
    got = packing.pack(layer, x, packing.RELU)(x)
    torch.testing.assert_close(got, layer(x).relu(), rtol=1e-5, atol=1e-5)
