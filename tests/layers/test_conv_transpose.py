"""The transposed convolution is PyTorch's own, faster."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convae_zoo as zoo
from convae_zoo.layers import ConvTranspose2d, use_fast_layers


@st.composite
def geometries(draw):
    """Draw arguments of a layer and an input's shape that PyTorch takes."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups = draw(st.integers(1, 2))
    stride = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2)]))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1)]))
    kernel, padding = pair(1, 4), pair(0, 3)
    output_padding = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    size = pair(1, 9)
    for axis in range(2):
        made = (
            (size[axis] - 1) * stride[axis]
            - 2 * padding[axis]
            + dilation[axis] * (kernel[axis] - 1)
            + output_padding[axis]
            + 1
        )
        if made < 1:
            padding = (0, 0)
    arguments = {
        "in_channels": groups * draw(st.integers(1, 5)),
        "out_channels": groups * draw(st.integers(1, 5)),
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "output_padding": output_padding,
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return arguments, (draw(st.integers(1, 3)), arguments["in_channels"], *size)


@given(
    geometry=geometries(),
    channels_last=st.booleans(),
    learns_input=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=300, deadline=None)
def test_output_and_gradients_are_pytorchs_own_to_float64_rounding(
    geometry, channels_last, learns_input, seed
):
    arguments, shape = geometry
    torch.manual_seed(seed)
    ours, plain = ConvTranspose2d(**arguments).double(), nn.ConvTranspose2d(**arguments).double()
    plain.load_state_dict(ours.state_dict())
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(shape, dtype=torch.float64).to(memory_format=layout)
    results = []
    for layer in (ours, plain):
        given_x = x.clone().requires_grad_(learns_input)
        y = layer(given_x)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        results.append(
            (
                y,
                given_x.grad,
                layer.weight.grad,
                *(p.grad for p in [layer.bias][:1] if p is not None),
            )
        )
    for got, expected in zip(*results, strict=True):
        if expected is None:
            assert got is None
        else:
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("out_channels", [2, 5])
def test_first_and_second_derivatives_agree_with_finite_differences(stride, out_channels):
    layer = ConvTranspose2d(
        3, out_channels, 3, padding=1, stride=stride, output_padding=stride - 1
    ).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64).to(memory_format=torch.channels_last)
    inputs = (x.requires_grad_(), layer.weight, layer.bias)

    def call(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(64, 64, 8), (32, 32, 16), (16, 3, 32)])
def test_it_is_as_exact_as_pytorch_in_every_precision(shape, dtype):
    """Measured against float64, the error is not above PyTorch's own by more than rounding."""
    inputs, outputs, size = shape
    torch.manual_seed(0)
    ours, plain = (
        cls(inputs, outputs, 3, padding=1) for cls in (ConvTranspose2d, nn.ConvTranspose2d)
    )
    plain.load_state_dict(ours.to(dtype).state_dict())
    x = torch.randn(4, inputs, size, size).to(dtype).to(memory_format=torch.channels_last)
    expected = plain.double()(x.double())
    theirs = plain.to(dtype)(x)

    def error(y):
        return (y.double() - expected).abs().max()

    assert error(ours(x)) <= 1.5 * error(theirs) + 1e-7


def test_autocast_computes_in_bf16_and_leaves_float32_gradients():
    layer = ConvTranspose2d(4, 4, 3, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(torch.randn(2, 4, 8, 8))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert layer.weight.grad.dtype == layer.bias.grad.dtype == torch.float32


def test_it_takes_what_pytorchs_takes_and_refuses_what_it_refuses():
    ours, plain = ConvTranspose2d(3, 4, 3, stride=2), nn.ConvTranspose2d(3, 4, 3, stride=2)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(ours(x, output_size=[12, 12]), plain(x, output_size=[12, 12]))
    assert torch.equal(ours(x[0]), plain(x[0]))
    for bad in (torch.randn(2, 4, 5, 5), x.double(), x.long()):
        with pytest.raises(RuntimeError):
            ours(bad)


def test_exported_graphs_hold_pytorchs_own_operator():
    layer = ConvTranspose2d(3, 3, 3, padding=1).eval()
    x = torch.randn(2, 3, 8, 8)
    program = torch.export.export(layer, (x,))
    names = [str(n.target) for n in program.graph.nodes if n.op == "call_function"]
    assert names == ["aten.conv_transpose2d.input"]
    torch.testing.assert_close(program.module()(x), layer(x))
    traced = torch.jit.trace(layer, x)
    assert "conv_transpose" in str(traced.graph) or "_convolution" in str(traced.graph)


def test_it_compiles_in_one_graph():
    layer = ConvTranspose2d(3, 3, 3, padding=1)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 3, 8, 8)
    compiled(x).sum().backward()
    compiled_gradient = layer.weight.grad
    layer.weight.grad = None
    layer(x).sum().backward()
    torch.testing.assert_close(compiled_gradient, layer.weight.grad)


def test_per_sample_gradients_can_be_taken():
    layer = ConvTranspose2d(2, 3, 3, padding=1).double()
    weights = dict(layer.named_parameters())
    x = torch.randn(4, 2, 5, 5, dtype=torch.float64)

    def loss(weights, image):
        return torch.func.functional_call(layer, weights, (image[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    for index, image in enumerate(x):
        alone = torch.func.grad(loss)(weights, image)
        torch.testing.assert_close(each["weight"][index], alone["weight"])


def test_a_model_gets_it_in_place_and_keeps_parameters_names_and_subclasses():
    class Own(nn.ConvTranspose2d):
        def forward(self, x, output_size=None):
            return super().forward(x, output_size) * 2

    model = nn.Sequential(nn.ConvTranspose2d(3, 3, 3), nn.Sequential(Own(3, 3, 3)))
    before = dict(model.named_parameters())
    use_fast_layers(model)
    assert type(model[0]) is ConvTranspose2d
    assert type(model[1][0]) is Own
    assert {k: id(v) for k, v in model.named_parameters()} == {k: id(v) for k, v in before.items()}


def test_every_autoencoder_has_it_without_asking():
    model = zoo.create_model("convae-200")
    kinds = {type(m) for m in model.modules() if isinstance(m, nn.ConvTranspose2d)}
    assert kinds == {ConvTranspose2d}


@pytest.mark.parametrize("shape", [(64, 32, 2), (16, 16, 1), (16, 3, 1)])
def test_float32_in_the_contiguous_layout_is_pytorchs_to_the_bit(shape):
    inputs, outputs, stride = shape
    torch.manual_seed(0)
    ours = ConvTranspose2d(inputs, outputs, 3, stride, 1, stride - 1)
    plain = nn.ConvTranspose2d(inputs, outputs, 3, stride, 1, stride - 1)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(4, inputs, 8, 8)
    y = plain(x)
    direction = torch.randn_like(y)
    expected = torch.autograd.grad(y, list(plain.parameters()), direction)
    assert torch.equal(ours(x), y)
    got = torch.autograd.grad(ours(x), list(ours.parameters()), direction)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
