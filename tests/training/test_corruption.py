"""Training with a corruption: what is corrupted, with which random numbers, and what is kept."""

import functools

import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.data import pixels
from convae_zoo.data.corrupt import Corruption
from convae_zoo.data.training_images import TrainingImages
from convae_zoo.errors import ConfigError, UnknownNameError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.distributed import World
from convae_zoo.training.engine import Engine
from convae_zoo.training.trainer import Trainer
from tiny_runs import TINY, image_set, tiny_train

NOISE = "gaussian(sigma=5:55)"


class Seen(nn.Module):
    """Keeps what an encoder is given."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.inputs = encoder, []

    def forward(self, x, sigma=None):
        self.inputs.append((x, sigma))
        return self.encoder(x)


def make_trainer(corruption=NOISE, **settings):
    torch.manual_seed(0)
    recipe = Recipe(epochs=2, batch_size=16, precision="fp32", corruption=corruption, **settings)
    model = zoo.create_model("convae-200", **TINY)
    model.encoder = Seen(model.encoder)
    engine = Engine(model, nn.MSELoss(), recipe)
    images = TrainingImages(image_set(32), recipe, model.image_shape, engine.device)
    val_set = image_set(8, "val", 1)
    return Trainer(engine, recipe, images, val_set, corruption=Corruption(corruption))


def noise(trainer):
    """The noise of each batch that the model saw in training and validation, in units of 255."""
    trainer.engine.model.encoder.inputs.clear()
    trainer.train()
    low, high = trainer.engine.model.value_range
    seen = [255 * (x - low) / (high - low) for x, _ in trainer.engine.model.encoder.inputs]
    train, val = image_set(32).images, trainer.val_set.images
    clean = [train[:16], train[16:], val] * 2
    return [a - b for a, b in zip(seen, clean, strict=True)]


def test_every_image_gets_fresh_noise_in_every_epoch_and_the_same_in_every_validation():
    first, second, val, third, fourth, again = noise(make_trainer())
    for batch in (first, second, third, fourth, val):
        spread = batch.flatten(1).std(1)
        assert (spread.min() > 3) & (spread.max() < 70) & (spread.std() > 5)
    batches = [first, second, third, fourth]
    assert len({tuple(image.flatten().tolist()) for b in batches for image in b}) == 64
    assert torch.equal(val, again)


def test_the_target_is_the_clean_image():
    trainer = make_trainer("mask(share=1)")
    images = image_set(16).images
    trainer.train_step(images)
    (loss,) = trainer._unread
    model = make_trainer("mask(share=1)").engine.model
    black = pixels.to_float(torch.zeros_like(images), model.value_range)
    target = pixels.to_float(images, model.value_range)
    torch.testing.assert_close(loss, nn.functional.mse_loss(model(black), target).detach())


def test_equal_seeds_give_equal_noise_and_other_seeds_and_ranks_do_not():
    def first(seed=0, rank=0):
        trainer = make_trainer(seed=seed)
        trainer.world = World(rank, 2)
        return trainer._corrupt(image_set(4).images).images

    assert torch.equal(first(), first())
    assert not torch.equal(first(), first(seed=1))
    assert not torch.equal(first(), first(rank=1))
    same = {"corruption": NOISE, "epochs": 1}
    assert tiny_train(**same).train_losses == tiny_train(**same).train_losses
    assert tiny_train(**same, seed=1).train_losses != tiny_train(**same).train_losses
    assert tiny_train(epochs=1).train_losses != tiny_train(**same).train_losses


@pytest.mark.parametrize(
    ("model", "loss"),
    [("variational-200", "0.8*l1 + 0.2*ssim(window=7)"), ("convae-200", "mse + 0.01*adversarial")],
)
def test_any_model_and_any_loss_train_with_a_corruption(model, loss):
    result = tiny_train(model, loss=loss, corruption="blur + jpeg + gaussian", epochs=1)
    assert torch.tensor(result.train_losses).isfinite().all()


def test_the_weights_file_and_the_loaded_model_name_the_corruption(tmp_path):
    trained = tiny_train(corruption=NOISE, epochs=1, out=tmp_path / "run").model
    assert trained.corruption == NOISE
    loaded = zoo.load_model(tmp_path / "run")
    assert loaded.corruption == NOISE
    zoo.save_model(loaded, tmp_path / "again.safetensors", dtype="bf16")
    assert zoo.load_model(tmp_path / "again.safetensors").corruption == NOISE
    assert tiny_train(loaded, epochs=1).model.corruption == ""


def test_the_validation_loss_of_mse_is_what_evaluate_measures():
    """Whatever the batches: the noise of an image depends on its index alone."""
    val = image_set(30, "val", 1)
    result = tiny_train(corruption=NOISE, epochs=1)
    found = zoo.evaluate(result.model, val, corruption=NOISE, baseline=False, batch_size=7)
    assert found.corruption == NOISE
    assert found.model.mse_in_range == pytest.approx(result.val_losses[-1], rel=1e-5)
    clean = zoo.evaluate(result.model, val, baseline=False)
    assert clean.corruption is None
    assert clean.model.mse != found.model.mse


def test_pca_is_measured_under_the_same_corruption():
    train, val = image_set(100), image_set(30, "val", 1)
    model = tiny_train(epochs=1).model
    clean = zoo.evaluate(model, val, train=train)
    noisy = zoo.evaluate(model, val, train=train, corruption="gaussian(sigma=100)")
    assert noisy.pca.mse > clean.pca.mse


@pytest.mark.parametrize(
    ("corruption", "error", "message"),
    [
        ("gausian", UnknownNameError, "unknown corruption 'gausian'; did you mean 'gaussian'"),
        ("gaussian(sigma=300)", ConfigError, "sigma must be a number from 0 to 255 or a range"),
        ("gaussian(sigma=9:3)", ConfigError, "a range LOW:HIGH of such numbers, got"),
    ],
)
def test_a_bad_corruption_is_refused_before_any_data_is_loaded(corruption, error, message):
    with pytest.raises(error, match=message):
        tiny_train(corruption=corruption, dataset="no-such-dataset")


def test_a_model_that_takes_sigma_is_given_that_of_its_noise_and_refuses_a_corruption_without(
    monkeypatch,
):
    trainer = make_trainer()
    config = type(trainer.engine.model.plan.encoder_config)
    monkeypatch.setattr(config, "takes_sigma", True, raising=False)
    deviations = [batch.flatten(1).std(1) for batch in noise(trainer)]
    sigmas = [sigma for _, sigma in trainer.engine.model.encoder.inputs]
    assert all(sigma.shape == (len(d),) for sigma, d in zip(sigmas, deviations, strict=True))
    torch.testing.assert_close(torch.cat(sigmas) * 255, torch.cat(deviations), rtol=0.35, atol=0)
    with pytest.raises(ConfigError, match=r"takes the noise's standard deviation, which .*'blur'"):
        tiny_train(corruption="blur", dataset="no-such-dataset")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
def test_a_captured_step_trains_on_each_batch_s_own_noise():
    losses = []
    for is_captured in (True, False):
        torch.manual_seed(0)
        recipe = Recipe(batch_size=16)
        engine = Engine(zoo.create_model("convae-200", **TINY).cuda(), nn.MSELoss(), recipe)
        if not is_captured:
            engine.step = functools.partial(Engine.step, engine)
        images = image_set(16).images.cuda()
        corruption = Corruption(NOISE)
        generator = torch.Generator("cuda").manual_seed(0)
        losses.append(
            [engine.step(images, 1.0, corruption(images, generator)).item() for _ in range(8)]
        )
        assert is_captured == (getattr(engine.step, "graph", None) is not None)
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-5)
