"""The adversarial loss: both sides of the game against their formulas."""

import pytest
import torch
from torch.nn import functional

from convae_zoo.errors import ContractError
from convae_zoo.models.losses import create_loss, create_training_loss
from convae_zoo.training.trainable_losses import TrainableLoss


def _images(seed, channels=3, size=12, low=-1.0, high=1.0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(3, channels, size, size, generator=generator, dtype=torch.float64)
    return low + (high - low) * values


def _judged(loss, images):
    """The discriminator in float64, layer by layer, of images in [-1, 1]."""
    first, _, second, _, last = loss.discriminator
    x = functional.conv2d(images, first.weight, first.bias, stride=2, padding=1)
    x = torch.where(x < 0, 0.2 * x, x)
    x = functional.conv2d(x, second.weight, second.bias, stride=2, padding=1)
    x = torch.where(x < 0, 0.2 * x, x)
    return functional.conv2d(x, last.weight, last.bias, padding=1)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
def test_both_losses_equal_their_plain_formulas(low, high):
    loss = create_loss("adversarial", value_range=(low, high), width=4).double()
    fake, real = _images(0, low=low, high=high), _images(1, low=low, high=high)
    on_fake, on_real = (
        _judged(loss, 2 * (v - low) / (high - low) - 1).sigmoid() for v in (fake, real)
    )
    torch.testing.assert_close(loss(fake, real), -on_fake.log().mean())
    expected = -on_real.log().mean() - (1 - on_fake).log().mean()
    torch.testing.assert_close(loss.own_loss(fake, real), expected)


def test_it_is_a_loss_that_learns_and_gives_its_own_rate():
    loss = create_loss("adversarial", learning_rate=0.125)
    assert isinstance(loss, TrainableLoss)
    optimizer = loss.own_optimizer()
    assert [g["lr"] for g in optimizer.param_groups] == [0.125]
    assert [id(p) for g in optimizer.param_groups for p in g["params"]] == [
        id(p) for p in loss.parameters()
    ]
    assert not isinstance(create_loss("mse"), TrainableLoss)


def test_the_discriminator_learns_to_tell_blurred_images_from_sharp_ones():
    torch.manual_seed(0)
    loss = create_loss("adversarial", width=8, learning_rate=3e-3)
    optimizer = loss.own_optimizer()
    values = []
    for seed in range(40):
        sharp = _images(seed).float()
        blurred = functional.avg_pool2d(sharp, 3, stride=1, padding=1)
        optimizer.zero_grad()
        value = loss.own_loss(blurred, sharp)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.5 * values[0]
    fresh = _images(99).float()
    assert loss(functional.avg_pool2d(fresh, 3, stride=1, padding=1), fresh) > 2 * loss(
        fresh, fresh
    )


def test_gradients_are_finite_far_outside_the_range():
    loss = create_loss("adversarial", width=4)
    for value in (-1e4, 0.0, 1e4):
        x = torch.full((1, 3, 8, 8), value, requires_grad=True)
        loss(x, torch.zeros(1, 3, 8, 8)).backward()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 3, 8)])
def test_images_that_it_cannot_judge_are_refused(shape):
    loss = create_loss("adversarial")
    with pytest.raises(ContractError, match=r"images of 3 channels and at least 4×4 pixels, got"):
        loss(torch.zeros(shape), torch.zeros(shape))


def test_training_gives_it_the_channels_of_the_images():
    grey = _images(0, channels=1).float()
    loss = create_training_loss("mse + 0.01*adversarial", (0.0, 1.0), 1)
    assert loss(grey, grey).isfinite()
