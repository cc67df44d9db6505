"""The training loop: losses, their means, the order of images, and loss terms of parts."""

import copy
import json
import signal

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision import transforms

import convae_zoo as zoo
from convae_zoo.data import ImageSet, pixels
from convae_zoo.data.order import epoch_order
from convae_zoo.data.training_images import TrainingImages
from convae_zoo.errors import TrainingError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.run_folder import RunFolder
from convae_zoo.runtime.distributed import World
from convae_zoo.training.engine import Engine
from convae_zoo.training.recorder import NullRecorder
from convae_zoo.training.trainer import Trainer
from tiny_runs import TINY, image_set, tiny_train


def training_images(recipe):
    return TrainingImages(image_set(), recipe, (3, 8, 8), torch.device("cpu"))


@pytest.mark.slow
def test_100_steps_equal_a_plain_loop_bit_for_bit():
    """From equal weights, fp32 losses on photographs equal those of a textbook loop."""
    images = zoo.load_dataset("photos").images[: 64 * 100]
    torch.manual_seed(3)
    ours = zoo.create_model("convae-200")
    plain = zoo.create_model("convae-200")
    plain.load_state_dict(ours.state_dict())
    for module in plain.modules():
        if isinstance(module, nn.ConvTranspose2d):
            module.__class__ = nn.ConvTranspose2d

    result = zoo.train(
        ours,
        dataset=(
            ImageSet(name="photos", split="train", images=images),
            image_set(10, "val", size=32),
        ),
        epochs=1,
        shuffle=False,
        precision="fp32",
        device="cpu",
    )

    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    normalize = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    expected = []
    for batch in images.split(64):
        x = normalize(batch / 255)
        optimizer.zero_grad()
        loss = functional.mse_loss(plain(x), x)
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert len(expected) == 100
    assert result.train_losses == expected


def test_a_trainer_works_without_a_folder_or_registered_names():
    """It needs an engine, a recipe and two image sets."""
    torch.manual_seed(0)
    recipe = Recipe(epochs=2, batch_size=16, precision="fp32")
    engine = Engine(zoo.create_model("convae-200", **TINY), nn.MSELoss(), recipe)
    trainer = Trainer(engine, recipe, training_images(recipe), image_set(30, "val", 1))
    trainer.train()
    trainer.close()
    result = tiny_train(epochs=2)
    assert trainer.state == "finished"
    assert trainer.recorder.history.steps == result.train_losses


def test_a_state_dict_continues_bit_for_bit_in_another_trainer():
    def trainer():
        torch.manual_seed(0)
        recipe = Recipe(epochs=3, batch_size=16, precision="fp32", shuffle=True)
        engine = Engine(zoo.create_model("convae-200", **TINY), nn.MSELoss(), recipe)
        return Trainer(engine, recipe, training_images(recipe), image_set(30, "val", 1))

    first, second = trainer(), trainer()
    states = []
    first.recorder.checkpoint = lambda get_state: states.append(copy.deepcopy(get_state()))
    first.train()
    second.load_state_dict(states[0])
    second.recorder.history.steps = first.recorder.history.steps[:7]
    second.train()
    assert second.recorder.history.steps == first.recorder.history.steps


def test_equal_seeds_give_equal_losses_and_other_seeds_do_not():
    first, second = tiny_train(seed=1, epochs=1), tiny_train(seed=1, epochs=1)
    assert first.train_losses == second.train_losses
    assert first.val_losses == second.val_losses
    assert tiny_train(seed=2, epochs=1).train_losses != first.train_losses


def test_the_validation_loss_weights_all_images_equally():
    """30 images in batches of 16: the second has 14."""
    result = tiny_train(epochs=1)
    x = pixels.to_float(image_set(30, "val", 1).images, (-1.0, 1.0))
    with torch.no_grad():
        expected = functional.mse_loss(result.model(x), x).item()
    assert result.val_losses[-1] == pytest.approx(expected, rel=1e-5)


def test_the_train_loss_weights_a_smaller_last_batch_by_its_size():
    result = tiny_train(epochs=1)
    weights = [16] * 6 + [4]
    expected = sum(w * x for w, x in zip(weights, result.train_losses, strict=True)) / 100
    assert result.epochs[0].train_loss == pytest.approx(expected)


def test_an_epoch_keeps_the_order_of_the_data_or_shuffles_it():
    assert epoch_order(5, epoch=1, seed=0, shuffle=False).tolist() == [0, 1, 2, 3, 4]
    first, second = (epoch_order(50, epoch=e, seed=0, shuffle=True) for e in (1, 2))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()
    assert torch.equal(first, epoch_order(50, epoch=1, seed=0, shuffle=True))


def test_the_largest_seed_is_accepted():
    assert tiny_train(seed=2**64 - 1, epochs=1, shuffle=True, augment="flip").train_losses


class Terminated(NullRecorder):
    """Gets SIGTERM at the end of the first epoch."""

    def end_epoch(self, epoch, engine):
        super().end_epoch(epoch, engine)
        signal.raise_signal(signal.SIGTERM)


class OneOfTwo(World):
    """The first of two processes; the other never asks to stop."""

    def sum(self, values):
        return values


@pytest.mark.parametrize(("world", "steps"), [(World(), 7), (OneOfTwo(size=2), 14)])
def test_several_processes_stop_after_a_common_reading_and_one_alone_at_once(world, steps):
    recipe = Recipe(epochs=3, batch_size=16, precision="fp32")
    engine = Engine(zoo.create_model("convae-200", **TINY), nn.MSELoss(), recipe)
    val, recorder = image_set(30, "val", 1), Terminated()
    trainer = Trainer(engine, recipe, training_images(recipe), val, recorder=recorder)
    trainer.world = world
    with pytest.raises(TrainingError, match=r"^stopped by SIGTERM$"):
        trainer.train()
    assert len(recorder.history.steps) == steps


def test_a_non_finite_loss_stops_the_run_and_names_the_step(tmp_path):
    with pytest.raises(TrainingError, match=r"loss became \S+ at step \d+, with a learning"):
        tiny_train(learning_rate=1e3, optimizer="sgd", batch_size=4, epochs=1, out=tmp_path / "run")
    record = RunFolder(tmp_path / "run").read()
    assert (record.state, record.epochs_done) == ("failed", 0)
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["kind"] == "step"


def test_loss_terms_of_a_part_are_trained():
    """A part's term is included in the training losses but not in the validation loss."""
    result = tiny_train(epochs=1)

    class Encoder(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)

        def forward_with_terms(self, x):
            return self.inner(x), {"constant": torch.tensor(7.0)}

    torch.manual_seed(0)
    model = zoo.create_model("convae-200", **TINY)
    model.encoder = Encoder(model.encoder)
    with_term = tiny_train(model, epochs=1)
    assert with_term.train_losses[0] == pytest.approx(result.train_losses[0] + 7, rel=0.2)
    assert with_term.val_losses[0] < 1
