"""Training: the loop, its records, and the ways in which it stops."""

import json
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torchvision import transforms

import convae_zoo as zoo
from convae_zoo.data import ImageSet, pixels
from convae_zoo.errors import ConfigError, FileError, TrainingError, UnknownNameError, UsageError
from convae_zoo.runtime.distributed import World
from convae_zoo.training.history import read_history
from convae_zoo.training.loop import validation_loss
from convae_zoo.training.order import epoch_order
from convae_zoo.training.run_folder import RunFolder

SMALL = {"width": 4, "latent_dim": 16, "image_size": 8}


def image_set(count=100, size=8, split="train", seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % 5
    return ImageSet(
        name="noise", split=split, images=images, labels=labels, class_names=tuple("abcde")
    )


def small_train(**settings):
    given = {"epochs": 2, "batch_size": 16, "device": "cpu", "precision": "fp32"} | settings
    model = given.pop("model", "convae-200")
    overrides = SMALL if isinstance(model, str) else {}
    data = given.pop("dataset", (image_set(), image_set(30, split="val", seed=1)))
    return zoo.train(model, dataset=data, overrides=overrides, **given)


def test_losses_equal_those_of_a_plain_loop_for_100_steps():
    """From equal weights the zoo's fp32 losses on photographs are those of the textbook loop."""
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
            image_set(10, size=32, split="val"),
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
    assert len(result.train_losses) == 100
    torch.testing.assert_close(result.train_losses, expected, rtol=1e-4, atol=0)


def test_equal_seeds_give_equal_losses_and_another_seed_others():
    first, second = small_train(seed=1), small_train(seed=1)
    assert first.train_losses == second.train_losses
    assert first.val_losses == second.val_losses
    assert small_train(seed=2).train_losses != first.train_losses


def test_training_leaves_the_callers_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small_train(seed=9, epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_models_recipe_is_the_default(tmp_path):
    zoo.train(
        "convae-200",
        dataset=(image_set(20), image_set(10, split="val")),
        epochs=1,
        overrides=SMALL,
        out=tmp_path / "run",
        device="cpu",
    )
    recipe = RunFolder(tmp_path / "run").read()["recipe"]
    assert (recipe["loss"], recipe["batch_size"], recipe["learning_rate"]) == ("mse", 64, 1e-3)
    assert (recipe["optimizer"], recipe["shuffle"]) == ("adam", False)


def test_a_run_folder_holds_what_is_needed_to_look_and_to_repeat(tmp_path):
    result = small_train(out=tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    record = folder.read()
    assert record["state"] == "finished"
    assert record["epochs_done"] == 2
    assert record["dataset"]["fingerprint"] == image_set().fingerprint
    assert record["versions"]["torch"] == version("torch")
    assert record["model"]["encoder"]["config"]["latent_dim"] == 16
    for path in (folder.picture(1), folder.picture(2), folder.curves):
        assert path.read_bytes().startswith(b"\x89PNG")
    history = read_history(folder.history)
    assert history.steps == result.train_losses
    assert [e.val_loss for e in history.epochs] == result.val_losses
    loaded = zoo.load_model(str(folder.path))
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(loaded(x), result.model(x))
    first = zoo.load_model(str(folder.first_epoch))
    assert not torch.equal(first(x), loaded(x))


def test_validation_loss_weighs_every_image_alike_whatever_the_batches():
    result = small_train(epochs=1)
    val = image_set(30, split="val", seed=1)
    x = pixels.to_float(val.images, (-1.0, 1.0))
    with torch.no_grad():
        expected = functional.mse_loss(result.model(x), x).item()
    assert result.val_losses[-1] == pytest.approx(expected, rel=1e-5)


def test_validation_loss_is_a_mean_over_images():
    class Engine:
        device = torch.device("cpu")

        def evaluating(self):
            return torch.no_grad()

        def validate(self, batch):
            return batch.float().mean(), batch

    images = torch.zeros(5, 1, 2, 2, dtype=torch.uint8)
    images[4] = 100
    val = ImageSet(name="x", split="val", images=images)
    assert validation_loss(Engine(), val, 4, World()) == pytest.approx(20.0)


def test_train_loss_of_an_epoch_weighs_a_smaller_last_batch_by_its_images():
    result = small_train(epochs=1)
    weights = [16] * 6 + [4]
    expected = sum(w * x for w, x in zip(weights, result.train_losses, strict=True)) / 100
    assert result.epochs[0].train_loss == pytest.approx(expected)


def test_order_is_the_datas_own_or_a_fresh_permutation_an_epoch():
    assert epoch_order(5, epoch=1, seed=0, shuffle=False).tolist() == [0, 1, 2, 3, 4]
    first, second = (epoch_order(50, epoch=e, seed=0, shuffle=True) for e in (1, 2))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()
    assert torch.equal(first, epoch_order(50, epoch=1, seed=0, shuffle=True))


def test_a_loss_that_is_no_longer_finite_stops_the_run_and_names_the_step(tmp_path):
    with pytest.raises(TrainingError, match=r"loss became (nan|inf) at step \d+ \(epoch 1\)"):
        small_train(learning_rate=1e3, optimizer="sgd", out=tmp_path / "run")
    record = RunFolder(tmp_path / "run").read()
    assert (record["state"], record["epochs_done"]) == ("failed", 0)


def test_a_folder_that_holds_a_run_is_refused_unless_told(tmp_path):
    small_train(out=tmp_path / "run", epochs=1)
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.raises(UsageError, match="holds another run; choose another"):
        small_train(out=tmp_path / "run", epochs=1, seed=4)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    (tmp_path / "run" / "notes.txt").write_text("mine")
    small_train(out=tmp_path / "run", epochs=1, seed=4, overwrite=True)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() != before
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": 0}, ConfigError, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": -1}, ConfigError, "batch_size must be a whole number"),
        ({"learning_rate": float("nan")}, ConfigError, "learning_rate must be a number"),
        ({"precision": "fp64"}, ConfigError, "precision must be one of auto, fp32, bf16"),
        ({"optimizer": "adma"}, ConfigError, "optimizer must be one of"),
        ({"loss": "msee"}, UnknownNameError, "unknown loss 'msee'; did you mean 'mse'"),
        ({"device": "tpu"}, UnknownNameError, "unknown device 'tpu'"),
        ({"dataset": "fotos"}, UnknownNameError, "unknown dataset 'fotos'"),
        ({"model": "convae-20"}, UnknownNameError, "did you mean 'convae-200'"),
    ],
)
def test_bad_settings_are_refused_in_one_line_and_leave_nothing(settings, error, message, tmp_path):
    with pytest.raises(error, match=message) as caught:
        small_train(out=tmp_path / "run", **settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="PyTorch finds 0 CUDA devices"):
        small_train(device="cuda")


def test_a_run_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot use .*: Not a directory"):
        small_train(out=tmp_path / "file" / "run")


def test_a_part_that_adds_loss_terms_is_trained_with_them():
    """A term of its own is in the training losses, and not in the validation loss."""
    result, plain = small_train(epochs=1), zoo.create_model("convae-200", **SMALL)

    class Encoder(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)

        def forward_with_terms(self, x):
            return self.inner(x), {"constant": torch.tensor(7.0)}

    torch.manual_seed(0)
    model = zoo.create_model("convae-200", **SMALL)
    model.encoder = Encoder(model.encoder)
    del plain
    with_term = small_train(model=model, epochs=1)
    assert with_term.train_losses[0] == pytest.approx(result.train_losses[0] + 7, rel=0.2)
    assert with_term.val_losses[0] < 1


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")]
)
def test_ctrl_c_and_sigterm_keep_the_last_finished_epoch_and_name_it(tmp_path, number, word):
    """A real process is stopped after its first epoch: one line, exit 1, and it can go on."""
    out = tmp_path / "run"
    (tmp_path / "images").mkdir()
    for index in range(12):
        Image.new("RGB", (8, 8), (index * 20, 0, 0)).save(tmp_path / "images" / f"{index}.png")
    arguments = f"--dataset image-folder --data {tmp_path / 'images'} --epochs 500"
    arguments += f" --set image_size=8 --set width=4 --out {out}"
    with subprocess.Popen(
        [sys.executable, "-m", "convae_zoo", "train", "convae-200", *arguments.split()],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("epoch 2/"):
                process.send_signal(number)
    done = json.loads((out / "run.json").read_text())
    kept = f"epoch {done['epochs_done']} is kept in {out / 'model.safetensors'}; --resume goes on"
    assert lines[-1] == f"error: {word}; {kept}\n"
    assert process.returncode == 1
    assert 2 <= done["epochs_done"] < 500
    assert done["state"] == ("interrupted" if number == signal.SIGINT else "failed")
    zoo.load_model(str(out / "model.safetensors"))
