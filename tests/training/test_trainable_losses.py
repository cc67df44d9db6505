"""Trainable losses: which step updates which parameters, and their state."""

import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.errors import TrainingError
from convae_zoo.models.losses import WeightedSum, create_training_loss
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.distributed import World
from convae_zoo.training.engine import Engine
from convae_zoo.training.trainable_losses import TrainableLosses
from tiny_runs import TINY, image_set

ADVERSARIAL = "mse + 0.01*adversarial"


class Scale(nn.Module):
    """The simplest trainable loss: the brightness of reconstructions relative to their targets."""

    def __init__(self, rate=0.1):
        super().__init__()
        self.rate = rate
        self.scale = nn.Parameter(torch.ones(()))
        self.constant = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, reconstruction, target):
        return (self.constant * self.scale * reconstruction - target).square().mean()

    def own_loss(self, reconstruction, target):
        return (self.scale - 3.0).square() + 0 * (reconstruction - target).mean()

    def own_optimizer(self):
        return torch.optim.SGD([self.scale], lr=self.rate)


def engine_with(loss, **recipe):
    torch.manual_seed(0)
    model = zoo.create_model("convae-200", **TINY)
    return Engine(model, loss, Recipe(precision="fp32", **recipe))


def test_a_step_trains_each_side_by_its_own_objective_only():
    """Compared with two plain optimisers over the parameters of each side."""
    data = image_set(12).images
    torch.manual_seed(1)
    ours = create_training_loss(ADVERSARIAL, (-1.0, 1.0))
    torch.manual_seed(1)
    theirs = create_training_loss(ADVERSARIAL, (-1.0, 1.0))
    engine = engine_with(ours)
    plain = engine_with(theirs).model.to(memory_format=torch.contiguous_format)

    critic = theirs.losses[1]
    generator = torch.optim.Adam(plain.parameters(), lr=1e-3)
    learner = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.9))
    critic.requires_grad_(requires_grad=True)
    for batch in data.split(4):
        expected_x = (batch.float() / 255 - 0.5) / 0.5
        reconstruction = plain(expected_x)
        expected = theirs(reconstruction, expected_x)
        gradients = torch.autograd.grad(expected, list(plain.parameters()))
        for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
            parameter.grad = gradient
        generator.step()
        own = critic.own_loss(reconstruction.detach(), expected_x)
        gradients = torch.autograd.grad(own, list(critic.parameters()))
        for parameter, gradient in zip(critic.parameters(), gradients, strict=True):
            parameter.grad = gradient
        learner.step()
        torch.testing.assert_close(engine.step(batch), expected.detach(), rtol=1e-5, atol=1e-6)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("side", ["model", "loss"])
def test_a_side_with_a_learning_rate_of_zero_does_not_change(side):
    """Neither objective computes gradients for the other's parameters."""
    loss = create_training_loss(ADVERSARIAL, (-1.0, 1.0))
    engine = engine_with(loss)
    for optimizer in [engine.optimizer] if side == "model" else engine.trainable_losses.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 0.0
    sides = {"model": engine.model, "loss": loss}
    before = {name: [p.clone() for p in m.parameters()] for name, m in sides.items()}
    for batch in image_set(12).images.split(4):
        engine.step(batch)
    for name, module in sides.items():
        same = [torch.equal(p, q) for p, q in zip(module.parameters(), before[name], strict=True)]
        assert all(same) if name == side else not any(same)
    assert not any(p.requires_grad for p in loss.parameters())


def test_the_models_step_computes_no_gradient_for_the_loss(monkeypatch):
    loss = Scale()
    engine = engine_with(loss)
    monkeypatch.setattr(TrainableLosses, "step", lambda *_: None)
    engine.step(image_set(4).images)
    assert loss.scale.grad is None
    assert loss.scale.item() == 1


def test_the_weight_in_a_sum_does_not_scale_a_trainable_losss_own_objective():
    """(s - 3)² from 1 with a rate of 0.1: a step goes to 1.4, whatever the weight of the term."""
    for weight in (1.0, 0.0, 100.0):
        loss = WeightedSum([1.0, weight], [nn.MSELoss(), WeightedSum([1.0], [Scale()])])
        engine_with(loss).step(image_set(4).images)
        assert loss.losses[1].losses[0].scale.item() == pytest.approx(1.4)


def test_several_trainable_losses_have_separate_optimisers():
    loss = WeightedSum([0.5, 0.5], [Scale(0.1), Scale(0.25)])
    engine_with(loss).step(image_set(4).images)
    assert [one.scale.item() for one in loss.losses] == pytest.approx([1.4, 2.0])


def test_the_learning_rate_schedule_applies_to_the_model_only():
    engine = engine_with(Scale())
    engine.set_learning_rate(1e-9)
    engine.step(image_set(4).images)
    assert engine.loss.scale.item() == pytest.approx(1.4)


def test_validation_trains_nothing():
    loss = create_training_loss(ADVERSARIAL, (-1.0, 1.0))
    engine = engine_with(loss)
    before = [p.clone() for p in loss.parameters()]
    with engine.evaluating():
        value, _ = engine.validate(image_set(4).images)
    assert value.isfinite()
    assert all(torch.equal(p, q) for p, q in zip(loss.parameters(), before, strict=True))


def test_the_state_holds_only_trained_parameters():
    trainable_losses = TrainableLosses(WeightedSum([1.0], [Scale()]), World())
    assert list(trainable_losses.state_dict()["loss"]) == ["losses.0.scale"]
    other = WeightedSum([1.0], [Scale()])
    with torch.no_grad():
        other.losses[0].constant.fill_(7.0)
        trainable_losses._loss.losses[0].scale.fill_(2.0)
    TrainableLosses(other, World()).load_state_dict(trainable_losses.state_dict())
    assert (other.losses[0].scale.item(), other.losses[0].constant.item()) == (2.0, 7.0)


def test_a_loss_without_parameters_has_no_state():
    trainable_losses = TrainableLosses(nn.MSELoss(), World())
    assert not trainable_losses
    assert trainable_losses.state_dict() == {"loss": {}, "own_optimizers": []}
    trainable_losses.load_state_dict({"loss": {}})


def narrower(state):
    state["loss"]["losses.1.discriminator.0.weight"] = torch.zeros(2, 3, 4, 4)


def renamed(state):
    state["loss"]["losses.1.critic"] = state["loss"].pop("losses.1.discriminator.0.weight")


def without_optimizers(state):
    state["own_optimizers"] = []


@pytest.mark.parametrize("change", [narrower, renamed, without_optimizers])
def test_the_state_of_another_loss_is_refused_in_one_line(change):
    loss = create_training_loss(ADVERSARIAL, (-1.0, 1.0))
    state = TrainableLosses(loss, World()).state_dict()
    change(state)
    with pytest.raises(TrainingError, match="is of another loss than the run") as caught:
        TrainableLosses(create_training_loss(ADVERSARIAL, (-1.0, 1.0)), World()).load_state_dict(
            state
        )
    assert "start again with --overwrite" in str(caught.value)
    assert "\n" not in str(caught.value)
