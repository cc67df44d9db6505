"""What a run says of its figures: few steps, memorised images, a diverging loss."""

import pytest

from convae_zoo.errors import TrainingError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.history import Epoch
from convae_zoo.training.advice import diverged, few_steps, memorised
from convae_zoo.weights.load import read_metadata
from tiny_runs import tiny_train


def epochs(*losses):
    return [
        Epoch(epoch=i, train_loss=train, val_loss=val, seconds=1.0, images_per_second=1.0)
        for i, (train, val) in enumerate(losses, 1)
    ]


def test_few_steps_are_told_with_what_would_be_enough():
    assert few_steps(288, Recipe()) == (
        "only 50 optimiser steps: 288 images per epoch, 64 per step, epochs 10; a model needs "
        "about 1,000: --epochs 200, or, if the pictures are larger than the model's, --augment "
        "'crop(count=20)'"
    )
    assert "crop(" not in few_steps(288 * 16, Recipe(augment="crop + flip", epochs=2))
    assert few_steps(64 * 100, Recipe()) is None


def test_a_rise_of_the_validation_loss_while_training_falls_is_told_after_two_epochs():
    rising = epochs((0.5, 0.5), (0.4, 0.4), (0.3, 0.45), (0.2, 0.5))
    assert memorised(rising[:3]) is None
    assert memorised(rising).startswith(
        "the model memorises the training images: since epoch 2 the training loss fell from "
        "0.40000 to 0.20000, while the validation loss rose from 0.40000 to 0.50000; more images"
    )
    assert memorised(epochs((0.5, 0.5), (0.4, 0.51), (0.3, 0.51))) is None, "a little is noise"
    assert memorised(epochs((0.4, 0.4), (0.5, 0.5), (0.6, 0.6))) is None, "training rises, too"


def test_a_loss_of_a_thousand_times_the_first_has_diverged():
    assert diverged([1.0, 400.0], first=0.5, step=7, rate=0.02) is None
    assert diverged([1.0, 600.0], first=0.5, step=7, rate=0.02) == (
        "the loss became 600 at step 8, with a learning rate of 0.02; try a tenth of it, "
        "--learning-rate 0.002, or another loss"
    )
    assert "became nan at step 1," in diverged([float("nan")], first=0.5, step=1, rate=1.0)
    assert diverged([-5.0, 3.0], first=-1.0, step=1, rate=1.0) is None, "losses may be negative"


def test_a_rate_that_is_too_high_for_muon_stops_the_run():
    with pytest.raises(TrainingError, match=r"at step \d+, with a learning rate of 1e\+03; try a"):
        tiny_train(optimizer="muon", learning_rate=1000, epochs=30, precision="fp32")


def test_the_weights_of_the_best_epoch_are_kept_beside_the_last(tmp_path):
    result = tiny_train(count=16, epochs=6, learning_rate=0.03, out=tmp_path / "run")
    best = min(result.val_losses)
    assert result.val_losses[-1] > best, "the last epoch must not be the best here"
    kept = read_metadata(tmp_path / "run" / "best.safetensors")["metrics"]
    assert kept == {"epoch": result.val_losses.index(best) + 1, "val_loss": best}
    assert read_metadata(tmp_path / "run")["metrics"]["epoch"] == 6
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 1
