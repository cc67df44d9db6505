"""Losses by name, and weighted sums of several."""

from types import ModuleType

import pytest
import torch
from torch import nn

from convae_zoo import hookimpl, list_losses, registry
from convae_zoo.errors import ConfigError, PluginError, UnknownNameError
from convae_zoo.models.losses import WeightedSum, create_loss, create_training_loss
from convae_zoo.registry.discovery import load_entry_points
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import LossSpec, Provenance


def _batches(size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 2, 3, size, size, generator=generator).unbind()
    return x, y


def test_a_name_builds_that_loss_alone():
    x, y = _batches()
    loss = create_loss("mse")
    assert not isinstance(loss, WeightedSum)
    assert torch.equal(loss(x, y), (x - y).square().mean())


def test_a_sum_adds_each_loss_times_its_weight():
    x, y = _batches()
    parts = [(0.8, "l1"), (0.15, "ssim"), (2.0, "mse")]
    total = create_loss("0.8*l1 + 0.15 * ssim+2*mse")(x, y)
    assert total.ndim == 0
    torch.testing.assert_close(total, sum(w * create_loss(name)(x, y) for w, name in parts))


def test_one_weighted_loss_keeps_its_weight():
    x, y = _batches()
    torch.testing.assert_close(create_loss("0.25*mse")(x, y), 0.25 * create_loss("mse")(x, y))


def test_gradients_of_a_sum_are_the_weighted_gradients():
    x, y = _batches()

    def gradient(name: str) -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        create_loss(name)(leaf, y).backward()
        assert leaf.grad is not None
        return leaf.grad

    expected = 0.5 * gradient("l1") + 3 * gradient("mse")
    torch.testing.assert_close(gradient("0.5*l1 + 3*mse"), expected)


def test_a_field_applies_to_every_loss_of_a_sum_that_has_it():
    loss = create_loss("l1 + bce + ssim + charbonnier", value_range=(0.0, 1.0), epsilon=1e-2)
    _, bce, ssim, charbonnier = loss.losses
    assert bce.value_range == ssim.value_range == (0.0, 1.0)
    assert bce.epsilon == charbonnier.epsilon == 1e-2


def test_a_loss_reads_its_config_from_the_string():
    x, y = _batches()
    loss = create_loss("0.8*l1 + 0.2*charbonnier(epsilon=0.1)")
    assert [part.epsilon for part in loss.losses[1:]] == [0.1]
    expected = 0.8 * create_loss("l1")(x, y) + 0.2 * create_loss("charbonnier", epsilon=0.1)(x, y)
    torch.testing.assert_close(loss(x, y), expected)
    assert create_loss("ssim(value_range=0:1, window=7)").value_range == (0, 1)


def test_a_wrong_config_in_the_string_is_reported_with_its_place():
    with pytest.raises(UnknownNameError) as caught:
        create_loss("0.8*l1 + 0.2*ssim(windw=7)")
    assert str(caught.value) == (
        "unknown field of loss 'ssim': 'windw'; did you mean 'window'? "
        "(character 19 of '0.8*l1 + 0.2*ssim(windw=7)')"
    )
    with pytest.raises(ConfigError, match=r"window must be one of 3, 5.*\(character 19 of"):
        create_loss("0.8*l1 + 0.2*ssim(window=8)")
    with pytest.raises(ConfigError, match=r"at character 6 of 'l1 \+ 2\*\*ssim': expected"):
        create_loss("l1 + 2**ssim")


def test_a_field_in_the_string_that_contradicts_the_model_is_refused():
    assert create_training_loss("ssim(value_range=(0, 1))", (0.0, 1.0)).value_range == (0, 1)
    with pytest.raises(ConfigError, match=r"value_range of 'ssim' is already set to \(-1.0, 1.0\)"):
        create_training_loss("ssim(value_range=(0, 1))", (-1.0, 1.0))


def test_an_unknown_loss_or_field_is_reported_with_the_nearest():
    with pytest.raises(UnknownNameError, match="'charbonnier'"):
        create_loss("0.5*charbonier + l1")
    with pytest.raises(UnknownNameError, match="did you mean 'epsilon'"):
        create_loss("l1 + charbonnier", epsilom=1.0)
    with pytest.raises(UnknownNameError, match="there are none"):
        create_loss("l1", epsilon=1.0)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("charbonnier", {"epsilon": 0}),
        ("charbonnier", {"epsilon": "small"}),
        ("bce", {"epsilon": 0.5}),
        ("ssim", {"value_range": (1.0, 0.0)}),
        ("ssim", {"value_range": 1.0}),
    ],
)
def test_a_value_out_of_range_is_reported(name, config):
    with pytest.raises(ConfigError, match=f"loss '{name}': {next(iter(config))} must be"):
        create_loss(name, **config)


def test_in_training_every_loss_with_the_field_gets_the_models_range():
    loss = create_training_loss("l1 + 0.5*bce + 0.5*ssim", (0.0, 1.0))
    assert [getattr(part, "value_range", None) for part in loss.losses] == [
        None,
        (0.0, 1.0),
        (0.0, 1.0),
    ]
    assert isinstance(create_training_loss("mse", (0.0, 1.0)), nn.MSELoss)


def test_a_factory_that_returns_no_module_is_reported_with_its_name():
    @hookimpl
    def register_losses(register) -> None:
        register(LossSpec(name="plain", factory=lambda: max))

    plugin = ModuleType("odd")
    plugin.register_losses = register_losses
    manager = load_entry_points()
    manager.add(Provenance("odd", "odd-dist", "1"), lambda: plugin)
    with (
        registry.override(build_registry(manager)),
        pytest.raises(PluginError, match=r"loss 'plain' of plugin 'odd' .* must return an nn\.M"),
    ):
        create_loss("plain")
    assert "plain" not in list_losses()
    assert "plain" not in registry.get_registry().names("loss")


@pytest.mark.usefixtures("defects")
@pytest.mark.parametrize("name", ["loss-scalar", "0.5*mse + 2*loss-scalar"])
def test_a_loss_that_returns_a_vector_is_reported_with_its_plugin(name):
    images = torch.rand(4, 3, 8, 8)
    with pytest.raises(PluginError) as caught:
        create_loss(name)(images, images)
    assert str(caught.value) == (
        "loss 'loss-scalar' of plugin 'defects' (convae-defects 0.1): a loss must return a scalar "
        "tensor, such as the mean, got shape (4,); report the output "
        "of 'convae-zoo verify loss-scalar' to its author"
    )


class Faulty(nn.Module):
    """A mean squared error with a fault."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def forward(self, reconstruction, target):
        value = (reconstruction - target).square().mean()
        match self.fault:
            case "complex":
                return value * 1j
            case "whole":
                return value.long()
            case "detached":
                return value.detach()
            case "device":
                return value.to("meta")
            case "target":
                target.zero_()
            case "reconstruction":
                reconstruction.detach().zero_()
        return value


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("complex", "a loss must return a real number, got complex64"),
        ("whole", "a loss must return a real number, got int64"),
        ("detached", "a loss must not detach its value: no gradient reaches the reconstruction"),
        ("device", "a loss must stay on its input's device cpu, got meta"),
        ("target", "a loss must not modify its input in place"),
        ("reconstruction", "a loss must not modify its input in place"),
    ],
)
@pytest.mark.parametrize("name", ["faulty", "mse + faulty"])
def test_a_loss_that_breaks_its_contract_is_told_with_its_plugin(name, fault, what):
    spec = LossSpec(
        name="faulty", factory=lambda: Faulty(fault), provenance=Provenance("odd", "odd-dist", "1")
    )
    installed = registry.get_registry()
    losses = {**installed.entries["loss"], "faulty": spec}
    entries = {**installed.entries, "loss": losses}
    with registry.override(registry.Registry(entries, installed.plugins)):
        loss = create_loss(name)
    x, y = _batches()
    with pytest.raises(PluginError) as caught:
        loss(x.requires_grad_() * 1, y.clone())
    assert str(caught.value).startswith(f"loss 'faulty' of plugin 'odd' (odd-dist 1): {what}")
    assert "\n" not in str(caught.value)
