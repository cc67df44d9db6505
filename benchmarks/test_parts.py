"""Each registered encoder, decoder and model; an installed plugin's entries too."""

import copy
import functools
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import nn

import convae_zoo as zoo
from benchmarks.conftest import Report
from convae_zoo.bench.limits import reference
from convae_zoo.bench.timing import CLOCK, Timing, count_gflop, time_interleaved
from convae_zoo.models.losses import create_training_loss
from convae_zoo.registry import get_registry
from convae_zoo.registry.factories import build, make_config
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.precision import bf16_is_faster
from convae_zoo.training.engine import Engine

MAX_GFLOP = {"short": 20.0, "full": 5000.0}
"""Largest forward pass on a CPU: more takes minutes, and more memory than most machines have."""

Calls = dict[str, Callable[[], Any]]
WAYS = ["forward", "backward", "inference"]


@functools.cache
def gflop_per_image(kind: str, name: str) -> float:
    """Count the GFLOP of one image's forward pass through a registered part or model."""
    if kind == "model":
        model = zoo.create_model(name)
        x, module = torch.zeros(1, *model.image_shape), cast("nn.Module", model)
    else:
        spec = cast("EncoderSpec | DecoderSpec", get_registry().get(kind, name))
        config = make_config(spec, {})
        shape = config.input_shape if kind == "encoder" else config.latent_shape
        x, module = torch.zeros(1, *shape), build(spec, config)
    return count_gflop(torch.no_grad()(functools.partial(module.eval(), x)))


@pytest.fixture
def affordable(request: pytest.FixtureRequest, name: str, batch: int, device: torch.device) -> None:
    """Skip what would take minutes per call."""
    if device.type != "cpu":
        return
    kind = request.node.originalname.removeprefix("test_")
    most = MAX_GFLOP["full" if request.config.getoption("full") else "short"]
    gflop = batch * gflop_per_image(kind, name)
    if gflop > most:
        pytest.skip(f"{gflop:.0f} GFLOP per batch; at most {most:.0f} are timed on a CPU")


def part_calls(part: nn.Module, x: torch.Tensor) -> Calls:
    """Return the calls that are timed for an encoder or a decoder."""
    wanted = [p for p in part.parameters() if p.requires_grad]
    y = part(x)
    # A part that samples or looks up a codebook may not depend on every parameter.
    backward = functools.partial(
        torch.autograd.grad, y, wanted, torch.ones_like(y), retain_graph=True, allow_unused=True
    )
    return {
        "forward": functools.partial(part, x),
        "backward": backward,
        "inference": torch.no_grad()(functools.partial(copy.deepcopy(part).eval(), x)),
    }


@pytest.mark.usefixtures("affordable")
@pytest.mark.benchmark(group="parts", timer=CLOCK)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", zoo.list_encoders())
def test_encoder(
    name: str, way: str, batch: int, device: torch.device, budget: float, report: Report
) -> None:
    """An encoder in fp32, channels_last."""
    spec = cast("EncoderSpec", get_registry().get("encoder", name))
    config = make_config(spec, {})
    x = torch.randn(batch, *config.input_shape, device=device)
    _part(build(spec, config), x, way, budget, report)


@pytest.mark.usefixtures("affordable")
@pytest.mark.benchmark(group="parts", timer=CLOCK)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", zoo.list_decoders())
def test_decoder(
    name: str, way: str, batch: int, device: torch.device, budget: float, report: Report
) -> None:
    """A decoder in fp32, channels_last."""
    spec = cast("DecoderSpec", get_registry().get("decoder", name))
    config = make_config(spec, {})
    x = torch.randn(batch, *config.latent_shape, device=device)
    _part(build(spec, config), x, way, budget, report)


def _part(part: nn.Module, x: torch.Tensor, way: str, budget: float, report: Report) -> None:
    part = part.to(x.device, memory_format=torch.channels_last)
    call = part_calls(part, x)[way]
    beside = reference(x.device.type, "fp32")
    timing = time_interleaved({"ours": call}, x.device, budget, beside)["ours"]
    report(timing, x.device, images=len(x), gflop=count_gflop(call), who="ours")


@functools.cache
def measure_model(
    name: str, batch: int, device: torch.device, seconds: float
) -> dict[str, tuple[dict[str, Timing], float]]:
    """Time a model's inference and training step, ours and PyTorch's interleaved."""
    ours = zoo.create_model(name).to(device)
    plain = _with_pytorchs_layers(copy.deepcopy(ours))
    images = torch.randint(0, 256, (batch, *ours.image_shape), dtype=torch.uint8, device=device)
    x = images.float() / 127.5 - 1
    infer = {
        "pytorch": torch.no_grad()(functools.partial(copy.deepcopy(plain).eval(), x)),
        "ours": functools.partial(Inference(ours), x),
    }
    recipe = zoo.model_info(name).recipe
    loss = create_training_loss(recipe.loss, ours.value_range).to(device)
    optimizer = torch.optim.Adam(plain.parameters(), lr=recipe.learning_rate)

    def plain_step() -> None:
        optimizer.zero_grad()
        reconstruction, terms = plain.forward_with_terms(x)
        total = loss(reconstruction, x) + sum(terms.values())
        total.backward()
        optimizer.step()
        total.item()

    engine = Engine(ours.train(), create_training_loss(recipe.loss, ours.value_range), recipe)
    train = {"pytorch": plain_step, "ours": functools.partial(engine.step, images)}
    beside = reference(device.type, "fp32")
    return {
        name: (time_interleaved(work, device, seconds, beside), count_gflop(work["pytorch"]))
        for name, work in (("inference", infer), ("step", train))
    }


def _with_pytorchs_layers(model: Any) -> Any:
    for module in model.modules():
        if isinstance(module, nn.ConvTranspose2d) and type(module).__module__.startswith("convae"):
            module.__class__ = nn.ConvTranspose2d
    return model


@pytest.mark.usefixtures("affordable")
@pytest.mark.benchmark(group="models", timer=CLOCK)
@pytest.mark.parametrize("who", ["pytorch", "ours"])
@pytest.mark.parametrize("way", ["inference", "step"])
@pytest.mark.parametrize("name", zoo.list_models())
def test_model(
    name: str, way: str, who: str, batch: int, device: torch.device, budget: float, report: Report
) -> None:
    """A model's inference and training step: ours and eager fp32 PyTorch."""
    timings, gflop = measure_model(name, batch, device, 4 * budget)[way]
    precision = "bf16" if who == "ours" and bf16_is_faster(device) else "fp32"
    report(timings[who], device, images=batch, gflop=gflop, precision=precision, who=who)
