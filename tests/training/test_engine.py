"""The engine: optimisations of a step do not change its results."""

import copy
import functools

import attrs
import pytest
import torch
from torch import nn
from torch.nn import functional

import convae_zoo as zoo
from convae_zoo.data import pixels
from convae_zoo.errors import ContractError
from convae_zoo.models.losses import create_training_loss
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime import precision
from convae_zoo.runtime.bf16_weights import Bf16Weights
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.memory import fastest_layout
from convae_zoo.runtime.precision import bf16_is_faster
from convae_zoo.training.engine import Engine

SMALL = {"width": 4, "latent_dim": 16, "image_size": 8}
RECIPE = Recipe(precision="fp32")


def small_model(seed=0, **config):
    torch.manual_seed(seed)
    return zoo.create_model("convae-200", **SMALL, **config).train()


def make_engine(model, **changes):
    loss = create_training_loss("mse", model.value_range)
    return Engine(model, loss, attrs.evolve(RECIPE, **changes))


def batch(count=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_steps_equal_those_of_a_plain_loop_with_the_same_optimiser(optimizer):
    ours = small_model()
    plain = copy.deepcopy(ours)
    engine = make_engine(ours, optimizer=optimizer)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    reference = kinds[optimizer](plain.parameters(), lr=RECIPE.learning_rate)
    for seed in range(5):
        x = pixels.to_float(batch(seed=seed), plain.value_range)
        reference.zero_grad()
        expected = functional.mse_loss(plain(x), x)
        expected.backward()
        reference.step()
        torch.testing.assert_close(
            engine.step(batch(seed=seed)), expected.detach(), rtol=1e-5, atol=0
        )
    engine.release()
    for got, wanted in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5)
        assert got.is_contiguous()


def test_validation_in_chains_is_as_near_to_float32_as_plain_autocast_and_keeps_the_weights():
    model = small_model()
    exact = copy.deepcopy(model).eval()
    engine = make_engine(model, precision="bf16")
    before = [parameter.clone() for parameter in model.parameters()]
    with engine.evaluating():
        loss, reconstruction = engine.validate(batch())
    x = pixels.to_float(batch(), model.value_range).contiguous(memory_format=torch.channels_last)
    expected = exact(x).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = exact.to(memory_format=torch.channels_last)(x).float()
    allowed = 1.5 * (plain - expected).norm() + 0.002 * expected.norm()
    assert (reconstruction - expected).norm() <= allowed
    assert reconstruction.dtype == torch.float32
    torch.testing.assert_close(loss, functional.mse_loss(reconstruction, x))
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("state", ["weight", "running_mean"])
def test_the_validation_loss_of_a_state_that_is_not_finite_is_not_finite(state, precision):
    model = small_model()
    model.encoder = nn.Sequential(nn.BatchNorm2d(3), model.encoder)
    engine = make_engine(model, precision=precision)
    with torch.no_grad():
        model.encoder.state_dict()[f"0.{state}"][:] = float("nan")  # a ReLU follows
    with engine.evaluating():
        loss, _ = engine.validate(batch())
    assert not loss.isfinite()


def test_bf16_weights_give_bit_for_bit_the_results_of_plain_autocast():
    ours = small_model(activation="silu")  # layers with ReLUs run in chains
    plain = copy.deepcopy(ours)
    engine = make_engine(ours, precision="bf16")
    plain.to(memory_format=torch.channels_last)
    reference = torch.optim.Adam(plain.parameters(), lr=RECIPE.learning_rate, fused=True)
    for seed in range(5):
        x = pixels.to_float(batch(seed=seed), plain.value_range)
        x = x.contiguous(memory_format=torch.channels_last)
        reference.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = plain(x)
        loss = functional.mse_loss(y.float(), x)
        loss.backward()
        reference.step()
        assert torch.equal(engine.step(batch(seed=seed)), loss.detach())
    for got, wanted in zip(ours.parameters(), plain.parameters(), strict=True):
        assert got.dtype == torch.float32
        assert torch.equal(got, wanted)


def gradients(model, *, chained=True, **recipe):
    """Return the gradients of one step by the names of the parameters."""
    engine = make_engine(copy.deepcopy(model), optimizer="sgd", **recipe)
    if not chained:
        engine._chains = None
    torch.manual_seed(1)  # some models draw noise
    engine.step(batch())
    return {name: p.grad for name, p in engine.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("convae-200", {"width": 4, "latent_dim": 16}),
        ("residual-200", {"width": 4, "latent_dim": 16, "activation": "relu"}),
        ("linear-residual-200", {"width": 4, "hidden": 8, "latent_dim": 16, "activation": "relu"}),
        ("variational-200", {"width": 4, "latent_dim": 16, "activation": "relu"}),
        ("vector-quantised-512", {"width": 4, "activation": "relu"}),
    ],
)
@pytest.mark.parametrize("frozen", ["", "encoder"])
def test_gradients_in_chains_are_as_near_to_float32_as_those_of_plain_autocast(
    name, config, frozen
):
    torch.manual_seed(0)
    model = zoo.create_model(name, image_size=8, **config).train()
    if frozen:
        model.encoder.requires_grad_(requires_grad=False)
    exact = gradients(model, precision="fp32")
    plain = gradients(model, precision="bf16", chained=False)
    chained = gradients(model, precision="bf16")
    assert chained.keys() == plain.keys() == exact.keys()

    def error(found):
        return sum((found[k] - exact[k]).square().sum() for k in exact).sqrt()

    size = sum(g.square().sum() for g in exact.values()).sqrt()
    assert error(chained) <= 1.5 * error(plain) + 1e-3 * size


def test_shared_and_frozen_weights_are_not_swapped():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].weight = shared.weight
    model[1].bias.requires_grad_(requires_grad=False)
    own = dict(model.named_parameters())
    half = Bf16Weights(model)
    with half.swapped_in():
        swapped = {k for k, v in model.named_parameters() if v.dtype == torch.bfloat16}
        assert swapped == {"0.bias"}
    assert all(v is own[k] for k, v in model.named_parameters())


def test_a_failed_forward_pass_restores_the_weights():
    engine = make_engine(small_model(), precision="bf16")
    with pytest.raises(ContractError, match="takes images"):
        engine.step(batch()[:, :2])
    assert {p.dtype for p in engine.model.parameters()} == {torch.float32}


def test_auto_is_bf16_only_where_it_is_measured_to_be_faster(monkeypatch):
    for faster, chosen in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(precision, "bf16_is_faster", lambda _, faster=faster: faster)
        assert make_engine(small_model(), precision="auto").precision == chosen


def test_bf16_is_measured_once_without_side_effects():
    bf16_is_faster.cache_clear()
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = bf16_is_faster(torch.device("cpu"))
    assert torch.get_num_threads() == threads
    assert bf16_is_faster(torch.device("cpu")) is first
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_precision_is_measured_in_any_mode_of_the_caller(mode):
    bf16_is_faster.cache_clear()
    with mode():
        bf16_is_faster(torch.device("cpu"))
    assert bf16_is_faster.cache_info().currsize == 1


def test_a_part_that_fails_in_channels_last_is_trained_contiguous():
    class Views(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.conv = inner, nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            y = self.conv(x)
            return self.inner(y.view(len(x), -1).view(x.shape))

    model = small_model()
    assert fastest_layout(model) == torch.channels_last
    model.encoder = Views(model.encoder)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert fastest_layout(model) == torch.contiguous_format
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert make_engine(model).step(batch()).isfinite()


@pytest.mark.parametrize("arithmetic", ["fp32", "bf16"])
def test_a_state_restored_from_a_contiguous_copy_gives_the_same_next_steps(arithmetic):
    engine = make_engine(small_model(), precision=arithmetic)
    for seed in range(3):
        engine.step(batch(seed=seed))
    other = make_engine(copy.deepcopy(engine.model), precision=arithmetic)
    state = copy.deepcopy(engine.state_dict())
    for kept in state["optimizer"]["state"].values():
        kept.update({k: v.contiguous() for k, v in kept.items()})
    other.load_state_dict(state)
    for seed in range(3, 6):
        assert torch.equal(engine.step(batch(seed=seed)), other.step(batch(seed=seed)))


@pytest.mark.parametrize(("arithmetic", "tolerance"), [("fp32", 1e-5), ("bf16", 0.02)])
def test_inference_agrees_with_the_model_and_does_not_change_it(arithmetic, tolerance):
    model = small_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x = pixels.to_float(batch(), model.value_range)
    fast = Inference(model, arithmetic)
    got, expected = fast(x), model.eval()(x).detach()
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_captured_step_gives_the_losses_of_eager_steps(optimizer):
    """Full batches are replayed, a smaller one between them is not; the rate may change."""
    captured = make_engine(small_model().cuda(), batch_size=16, optimizer=optimizer)
    eager = make_engine(small_model().cuda(), batch_size=16, optimizer=optimizer)
    eager.step = functools.partial(Engine.step, eager)
    for step in range(12):
        images = batch(7 if step == 8 else 16, seed=step)
        for engine in (captured, eager):
            engine.set_learning_rate(1e-3 if step < 10 else 1e-4)
        torch.testing.assert_close(captured.step(images), eager.step(images), rtol=1e-4, atol=1e-6)
    assert captured.step.graph is not None
