"""Programs of packed layers against the parts that they are made of."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from convae_zoo.layers import ConvTranspose2d, packing, program, rearrange, tracing

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN"
)

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.02}


class Residual(nn.Module):
    """Adds in every order, before and after an activation, and in place."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(4, 4, 1)
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(4))
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.convs[0](functional.silu(x))
        x = self.act(self.convs[1](x) + x)
        y = self.convs[2](x)
        y += x
        return torch.tanh(self.convs[3](y).relu()) + y


class AddsInPlace(nn.Module):
    """Changes what is used again."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = before = self.first(x)
        x += self.second(x)
        return x + before


class ScaledLinear(nn.Linear):
    """Is traced into: its layer is a function call."""

    def forward(self, x):
        return super().forward(x) * 0.1


class TwoHeads(nn.Module):
    """Two linear layers read one flattened tensor; one of them leads nowhere."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.first, self.second = nn.Linear(64, 5), nn.Linear(64, 5)
        self.unused = nn.Linear(64, 5)

    def forward(self, x):
        features = self.conv(x).flatten(1)
        self.unused(features)
        return self.first(features) + self.second(features).sigmoid()


class Denoiser(nn.Module):
    """The image passes by the convolutions, in float32 whatever they compute in."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(12, 16, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x):
        features = torch.pixel_shuffle(self.first(torch.pixel_unshuffle(x, 2)), 2)
        return x - self.last(features + features.relu())


PARTS = {
    "encoder": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 4, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(64, 10),
            nn.ReLU(),
        ),
        (3, 8, 8),
    ),
    "decoder": (
        lambda: nn.Sequential(
            nn.Linear(10, 64),
            nn.GELU(),
            nn.Unflatten(1, (4, 4, 4)),
            ConvTranspose2d(4, 6, 3, padding=1),
            nn.ReLU(),
            ConvTranspose2d(6, 5, 3, padding=1, stride=2, output_padding=1),
            nn.ELU(),
            ConvTranspose2d(5, 3, 3, padding=1),
        ),
        (10,),
    ),
    "residual": (Residual, (4, 6, 6)),
    "in place": (AddsInPlace, (4, 6, 6)),
    "two heads": (TwoHeads, (3, 8, 8)),
    "functions": (lambda: nn.Sequential(ScaledLinear(10, 7), nn.ReLU(), ScaledLinear(7, 3)), (10,)),
    "norms": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.SiLU(), nn.BatchNorm2d(8), nn.MaxPool2d(2)
        ),
        (3, 8, 8),
    ),
    "denoiser": (Denoiser, (3, 8, 8)),
    "sub-pixel": (
        lambda: nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(12, 16, 3, padding=1), nn.PixelShuffle(2)
        ),
        (3, 8, 8),
    ),
    "grey": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)),
        (1, 8, 8),
    ),
}


def part_of(name):
    torch.manual_seed(0)
    make, shape = PARTS[name]
    return make().eval().requires_grad_(requires_grad=False), shape


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", PARTS)
def test_a_program_computes_what_the_part_computes_at_every_batch_size(name, dtype):
    part, shape = part_of(name)
    generator = torch.Generator().manual_seed(0)
    traced = tracing.trace(part)
    for packed_for in (1, 4):
        example = torch.randn(packed_for, *shape, generator=generator)
        run = program.assemble(traced, example, dtype=dtype)
        for batch in (packed_for, 7, 2):
            x = torch.randn(batch, *shape, generator=generator)
            expected = part(x.clone())
            got = run(x.clone()).float()
            scale = expected.abs().max().item() + 1
            torch.testing.assert_close(got, expected, rtol=0, atol=TOLERANCES[dtype] * scale)


def calls_of(name):
    """Return the names of a program's calls, without those of values that are only read."""
    part, shape = part_of(name)
    run = program.assemble(tracing.trace(part), torch.randn(2, *shape), dtype=torch.float32)
    graph = run.__self__.graph
    return [getattr(n.target, "__name__", n.target) for n in graph.nodes if n.op.startswith("call")]


def test_activations_additions_factors_and_permutations_go_into_the_layers():
    assert calls_of("encoder") == ["prepared", "convolve", "flattened", "linear"]
    assert calls_of("decoder")[:3] == ["linear", "unflattened", "convolve"]
    fused = ["convolve_and_add"] * 3
    assert calls_of("residual") == ["prepared", "silu", *fused, "convolve", "tanh", "add"]
    assert calls_of("functions") == ["linear", "linear"]
    assert calls_of("sub-pixel") == ["unshuffled", "convolve", "shuffled"]
    assert "unused" not in str(calls_of("two heads"))


def test_a_fully_convolutional_program_takes_other_sizes():
    part, shape = part_of("residual")
    run = program.assemble(tracing.trace(part), torch.randn(2, *shape), dtype=torch.float32)
    x = torch.randn(3, 4, 9, 5)
    torch.testing.assert_close(run(x.clone()), part(x.clone()), rtol=0, atol=1e-5)


def test_a_second_input_is_passed_on():
    class Conditional(nn.Module):
        def forward(self, x, sigma=None):
            return x if sigma is None else x * sigma[:, None]

    x, sigma = torch.randn(2, 3), torch.tensor([1.0, 2.0])
    for inputs in ((x,), (x, sigma)):
        traced = tracing.trace(Conditional(), takes_sigma=len(inputs) > 1)
        run = program.assemble(traced, *inputs, dtype=torch.float32)
        torch.testing.assert_close(run(*inputs), Conditional()(*inputs))


def test_what_depends_on_values_or_has_hooks_is_not_traced():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    hooked = nn.Sequential(nn.Conv2d(3, 3, 3))
    hooked[0].register_forward_hook(lambda *_: None)
    assert tracing.trace(Branches()) is None
    assert tracing.trace(hooked) is None


def clamped(x):
    torch.clamp(x, max=1.0, out=x)


def clamped_by_a_view(x):
    view = x[:, :1]
    view -= torch.relu(view - 1)


@pytest.mark.parametrize(
    "change",
    [
        clamped,
        clamped_by_a_view,
        lambda x: x[:, 0].mul_(2),
        lambda x: functional.relu(x, True),  # noqa: FBT003 - that is how some call it
        lambda x: functional.relu(x, inplace=True),
        lambda x: torch.relu_(x[:, 1]),
    ],
)
def test_what_changes_a_tensor_in_place_is_kept(change):
    class Changes(nn.Module):
        def forward(self, x):
            x = x.clone()
            change(x)
            return x + 1

    x = torch.linspace(-2, 4, 24).reshape(2, 3, 2, 2)
    assert torch.equal(tracing.trace(Changes())(x), Changes()(x))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_pixels_are_moved_into_channels_and_back_exactly(factor, dtype):
    x = torch.randn(2, 3, 2 * factor, 4 * factor).to(dtype)
    expected = torch.pixel_unshuffle(x, factor)
    unshuffle = rearrange.pixel_unshuffle(factor, x)
    assert (unshuffle is None) == (factor == 3)
    y = rearrange.to_channels_last(expected)
    if unshuffle is not None:
        assert torch.equal(unshuffle(x), expected)
        assert rearrange.is_channels_last(unshuffle(x))
        assert torch.equal(rearrange.pixel_shuffle(factor, y)(y), x)


def test_without_the_operators_nothing_is_assembled(monkeypatch):
    def gone(*_: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr(packing, "pack", gone)
    part, shape = part_of("encoder")
    with pytest.raises(AttributeError):
        program.assemble(tracing.trace(part), torch.randn(2, *shape), dtype=torch.float32)
