"""Each loss against its formula written plainly in float64."""

import math

import pytest
import torch
from convae_losses.configs import WINDOWS
from convae_losses.ms_ssim import betas, scales
from convae_losses.pair import pair
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

from convae_zoo.errors import ContractError
from convae_zoo.models.losses import create_loss
from convae_zoo.registry import get_registry

NAMES = ("l1", "charbonnier", "bce", "ssim", "ms-ssim", "gradient-difference", "focal-frequency")
RANGES = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))


def _batch(seed: int, low: float = -1.0, high: float = 1.0, size: int = 13) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(2, 3, size, size + 2, generator=generator, dtype=torch.float64)
    return values * (high - low) + low


def _config(name: str, value_range: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return {"value_range": value_range} if name in {"bce", "ssim", "ms-ssim"} else {}


def _plain_bce(x: torch.Tensor, y: torch.Tensor, low: float, high: float) -> float:
    def log(p: float) -> float:
        return math.log(p) if p >= 1e-3 else math.log(1e-3) + (p - 1e-3) / 1e-3

    values = []
    for p, t in zip(
        ((x - low) / (high - low)).flatten().tolist(),
        ((y - low) / (high - low)).flatten().tolist(),
        strict=True,
    ):
        clipped = min(max(t, 1e-3), 1 - 1e-3)
        values.append(-clipped * log(p) - (1 - clipped) * log(1 - p))
    return math.fsum(values) / len(values)


def _ssim_maps(
    x: torch.Tensor, y: torch.Tensor, window_size: int = 11
) -> tuple[torch.Tensor, torch.Tensor]:
    edge = window_size // 2
    steps = torch.arange(-edge, edge + 1, dtype=torch.float64)
    bell = torch.exp(-(steps**2) / (2 * (1.5 * window_size / 11) ** 2))
    window = torch.outer(bell, bell) / bell.sum() ** 2

    def blur(image: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(image, (edge, edge, edge, edge), mode="reflect")
        patches = padded.unfold(2, window_size, 1).unfold(3, window_size, 1)
        return (patches * window).sum((-1, -2))

    mx, my = blur(x), blur(y)
    vx, vy, cxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    structure = (2 * cxy + c2) / (vx + vy + c2)
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1) * structure, structure


def _plain_ssim(x: torch.Tensor, y: torch.Tensor, low: float, high: float) -> float:
    ssim, _ = _ssim_maps((x - low) / (high - low), (y - low) / (high - low))
    return 1 - float(ssim.mean())


def _plain_ms_ssim(x: torch.Tensor, y: torch.Tensor, low: float, high: float) -> float:
    """The form for two scales, as images of 12 to 43 pixels have."""
    x, y = (x - low) / (high - low), (y - low) / (high - low)
    values = []
    for a, b in zip(x, y, strict=True):
        fine = _ssim_maps(a[None], b[None])[1][..., 5:-5, 5:-5].mean()
        halves = [
            (v[:, 0::2, 0::2] + v[:, 1::2, 0::2] + v[:, 0::2, 1::2] + v[:, 1::2, 1::2]) / 4
            for v in (a[:, :-1, :-1], b[:, :-1, :-1])
        ]
        coarse = _ssim_maps(halves[0][None], halves[1][None])[0].mean()
        first, second = 0.0448 / 0.3304, 0.2856 / 0.3304
        values.append(1 - ((1 + fine) / 2) ** first * ((1 + coarse) / 2) ** second)
    return float(torch.stack(values).mean())


def _plain_gradient_difference(x: torch.Tensor, y: torch.Tensor) -> float:
    down = [(v[:, :, 1:] - v[:, :, :-1]).flatten() for v in (x, y)]
    across = [(v[..., 1:] - v[..., :-1]).flatten() for v in (x, y)]
    return float((down[0] - down[1]).abs().mean() + (across[0] - across[1]).abs().mean())


def _plain_focal_frequency(x: torch.Tensor, y: torch.Tensor, alpha: float = 1.0) -> float:
    """With the Fourier transform as the double sum that it is."""
    *_, height, width = x.shape
    rows = torch.outer(torch.arange(height), torch.arange(height)).double() / height
    columns = torch.outer(torch.arange(width), torch.arange(width)).double() / width
    turn_rows, turn_columns = (torch.exp(-2j * math.pi * t) for t in (rows, columns))
    values = []
    for channel in (x - y).flatten(0, 1).to(torch.complex128):
        far = (turn_rows @ channel @ turn_columns).abs() / math.sqrt(height * width)
        values.append(((far / far.max()) ** alpha * far**2).mean())
    return float(torch.stack(values).mean())


def _plain(name: str, x: torch.Tensor, y: torch.Tensor, low: float, high: float) -> float:
    formulas = {
        "l1": lambda: float((x - y).abs().mean()),
        "charbonnier": lambda: float((((x - y) ** 2 + 1e-3**2).sqrt() - 1e-3).mean()),
        "bce": lambda: _plain_bce(x, y, low, high),
        "ssim": lambda: _plain_ssim(x, y, low, high),
        "ms-ssim": lambda: _plain_ms_ssim(x, y, low, high),
        "gradient-difference": lambda: _plain_gradient_difference(x, y),
        "focal-frequency": lambda: _plain_focal_frequency(x, y),
    }
    return formulas[name]()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_loss_equals_its_plain_formula(name, low, high, dtype):
    x, y = _batch(0, low, high), _batch(1, low, high)
    value = create_loss(name, **_config(name, (low, high)))(x.to(dtype), y.to(dtype))
    tolerance = 1e-7 if dtype == torch.float64 else 2e-5  # torchmetrics keeps weights in float32
    assert value.ndim == 0
    assert value.dtype == dtype
    assert value.item() == pytest.approx(_plain(name, x, y, low, high), rel=tolerance)


@pytest.mark.parametrize("window", [WINDOWS[0], 7, 21, WINDOWS[-1]])
def test_ssim_in_a_window_of_another_size_is_torchmetrics_and_the_plain_formula(window):
    size = max(13, window)
    x, y = (_batch(seed, 0, 1, size)[:1, :1] for seed in (0, 1))
    loss = create_loss(f"ssim(window={window})", value_range=(0.0, 1.0))
    torchs = structural_similarity_index_measure(x, y, sigma=1.5 * window / 11, data_range=1.0)
    plain = _ssim_maps(x, y, window)[0].mean()
    assert loss(x, y).item() == pytest.approx(1 - torchs.item(), rel=1e-12)
    assert loss(x, y).item() == pytest.approx(1 - plain.item(), rel=1e-6)
    small = x[..., : window - 1, :window]
    with pytest.raises(ContractError, match=f"window of {window}×{window} pixels"):
        loss(small, small)


@pytest.mark.parametrize("name", ["bce"])
def test_bce_outside_the_range_equals_its_plain_formula(name):
    x, y = _batch(0, -3, 3), _batch(1, -1, 1)
    value = create_loss(name)(x, y).item()
    assert value == pytest.approx(_plain_bce(x, y, -1, 1), rel=1e-9)


def test_bce_within_the_range_is_torchs():
    x, y = _batch(0, 0.01, 0.99), _batch(1, 0.01, 0.99)
    value = create_loss("bce", value_range=(0.0, 1.0))(x, y)
    torch.testing.assert_close(value, functional.binary_cross_entropy(x, y))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "focal-frequency"])
def test_gradients_are_right(name):
    x = _batch(0, size=12)[:1, :1].clone().requires_grad_()
    y = _batch(1, size=12)[:1, :1]
    assert torch.autograd.gradcheck(lambda v: create_loss(name)(v, y), (x,))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_everywhere(name):
    """At equality, on flat images, at the ends of the range and far outside it."""
    loss = create_loss(name)
    flat = torch.zeros(1, 1, 12, 12)
    for x, y in (
        (flat, flat),
        (_batch(0).float(), _batch(0).float()),
        (flat - 1, flat + 1),
        (flat + 1, flat - 1),
        (flat + 50, flat - 1),
        (flat - 50, flat + 1),
    ):
        leaf = x.clone().requires_grad_()
        value = loss(leaf, y)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), flat=st.booleans())
def test_a_loss_takes_its_declared_minimum_for_equal_images(name, seed, flat):
    spec = get_registry().get("loss", name)
    loss = create_loss(name)
    y = _batch(seed, -0.99, 0.99)
    y = y.mean().expand_as(y).clone() if flat else y
    minimum = loss(y, y).item()
    if spec.minimum is not None:
        assert minimum == pytest.approx(spec.minimum, abs=1e-9)
    for scale in (1e-3, 0.1, 3.0):
        assert loss(y + scale * _batch(seed + 1), y).item() > minimum


@pytest.mark.parametrize("name", NAMES)
def test_swapping_the_arguments_does_what_is_declared(name):
    x, y = _batch(0), _batch(1)
    loss = create_loss(name)
    equal = loss(x, y).item() == pytest.approx(loss(y, x).item(), rel=1e-9)
    assert equal == get_registry().get("loss", name).symmetric


@pytest.mark.parametrize("name", NAMES)
def test_the_reduction_is_a_mean_over_images(name):
    x, y = _batch(0), _batch(1)
    loss = create_loss(name)
    alone = [loss(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    torch.testing.assert_close(loss(x, y), torch.stack(alone).mean())


@pytest.mark.parametrize("name", NAMES)
def test_bf16_keeps_float32_sums(name):
    x, y = _batch(0).bfloat16(), _batch(1).float()
    loss = create_loss(name)
    expected = loss(x.float(), y)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(x, y)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    assert loss(x, y.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_differ_are_refused(name):
    with pytest.raises(ContractError, match="one shape"):
        create_loss(name)(torch.zeros(2, 1, 12, 12), torch.zeros(1, 1, 12, 12))


def test_ssim_of_small_images_is_refused_with_the_window():
    loss = create_loss("ssim")
    for shape in ((1, 1, 10, 32), (1, 1, 32, 10)):
        with pytest.raises(ContractError, match="11×11"):
            loss(torch.zeros(shape), torch.zeros(shape))
    assert loss(torch.zeros(1, 1, 11, 11), torch.zeros(1, 1, 11, 11)).item() == 0


@settings(max_examples=200, deadline=None)
@given(x=st.floats(-50, 50), target=st.floats(-1, 1))
def test_the_gradient_of_bce_leads_to_the_target_from_anywhere(x, target):
    leaf = torch.full((1, 1, 1, 1), x, dtype=torch.float64, requires_grad=True)
    create_loss("bce")(leaf, torch.full_like(leaf, target)).backward()
    away = x - min(max(target, -0.998), 0.998)
    if abs(away) > 1e-6:
        assert leaf.grad.item() * away > 0
    if abs(x) > 1.1:
        assert abs(leaf.grad.item()) > 0.02  # it does not die outside the range


def test_charbonnier_is_a_square_near_zero_and_an_absolute_value_far_from_it():
    loss = create_loss("charbonnier", epsilon=0.1)
    y = torch.zeros(1, 1, 2, 2)
    assert loss(y + 1e-4, y).item() == pytest.approx(1e-8 / 0.2, rel=1e-4)
    assert loss(y + 100, y).item() == pytest.approx(100 - 0.1, rel=1e-5)


def test_a_pair_is_never_narrower_than_float32():
    half, full = torch.zeros(1, dtype=torch.float16), torch.zeros(1, dtype=torch.float64)
    assert [t.dtype for t in pair(half, half)] == [torch.float32] * 2
    assert [t.dtype for t in pair(half, full)] == [torch.float64] * 2


def test_focal_frequency_takes_no_gradient_through_its_weight():
    x, y = _batch(0).requires_grad_(), _batch(1)
    create_loss("focal-frequency")(x, y).backward()
    spectrum = torch.fft.fft2((x - y).detach(), norm="ortho")
    weight = spectrum.abs() / spectrum.abs().amax((-2, -1), keepdim=True)
    expected = 2 * torch.fft.ifft2(weight * spectrum, norm="ortho").real / x.numel()
    torch.testing.assert_close(x.grad, expected)


def test_focal_frequency_without_focus_is_the_mean_squared_error():
    x, y = _batch(0), _batch(1)
    loss = create_loss("focal-frequency", alpha=0.0)
    torch.testing.assert_close(loss(x, y), (x - y).square().mean())
    assert loss(x, x).item() == 0


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_focal_frequency_takes_its_exponent(alpha):
    x, y = _batch(0), _batch(1)
    value = create_loss("focal-frequency", alpha=alpha)(x, y).item()
    assert value == pytest.approx(_plain_focal_frequency(x, y, alpha), rel=1e-9)


def test_gradient_difference_sees_an_edge_that_is_the_other_way_round():
    edge = torch.zeros(1, 1, 4, 4)
    edge[..., 2:] = 1.0
    loss = create_loss("gradient-difference")
    assert loss(edge, 1 - edge).item() == pytest.approx(2 / 3)
    assert loss(edge + 0.25, edge).item() == 0


def test_gradient_difference_of_a_single_row_is_refused():
    with pytest.raises(ContractError, match="images have 1×5"):
        create_loss("gradient-difference")(torch.zeros(1, 1, 1, 5), torch.zeros(1, 1, 1, 5))


@pytest.mark.parametrize(
    ("side", "count"),
    [(11, 1), (12, 2), (32, 2), (43, 2), (44, 3), (98, 3), (99, 4), (175, 4), (176, 5), (999, 5)],
)
def test_ms_ssim_takes_as_many_scales_as_fit(side, count):
    assert scales(side) == count
    assert sum(betas(side)) == pytest.approx(1)


@pytest.mark.parametrize("side", [11, 12, 44, 99, 176])
def test_ms_ssim_works_from_the_smallest_side_of_each_count_of_scales(side):
    x = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    leaf = (1 - x).requires_grad_()
    value = create_loss("ms-ssim", value_range=(0.0, 1.0))(leaf, x)
    value.backward()
    assert 0 < value.item() < 1
    assert leaf.grad.isfinite().all()


def test_ms_ssim_of_small_images_is_refused_with_the_window():
    with pytest.raises(ContractError, match="'ms-ssim' looks through a window of 11×11"):
        create_loss("ms-ssim")(torch.zeros(1, 1, 10, 32), torch.zeros(1, 1, 10, 32))


def test_no_loss_but_the_adversarial_one_has_parameters():
    for name in NAMES:
        assert not list(create_loss(name).parameters())
