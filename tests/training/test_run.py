"""`train`: recipes and settings, what a run starts from, and the state of the process."""

import random
import threading

import numpy as np
import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.errors import ConfigError, FileError, TrainingError, UnknownNameError, UsageError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.run_folder import RunFolder
from tiny_runs import TINY, image_set, tiny_train


class HalfMse(nn.Module):
    """An unregistered loss."""

    def forward(self, reconstruction, target):
        return 0.5 * (reconstruction - target).square().mean()


def tiny_model():
    torch.manual_seed(0)
    return zoo.create_model("convae-200", **TINY)


def test_the_models_recipe_is_the_default(tmp_path):
    sets = (image_set(20), image_set(10, "val"))
    zoo.train("convae-200", dataset=sets, epochs=1, overrides=TINY, out=tmp_path, device="cpu")
    recipe = RunFolder(tmp_path).read().recipe
    assert recipe == zoo.model_info("convae-200").recipe.__class__(epochs=1)


def test_a_recipe_can_be_an_object_or_a_models_name_with_changed_settings(tmp_path):
    whole = Recipe(epochs=1, batch_size=16, learning_rate=0.01, precision="fp32", seed=3)
    sets = (image_set(20), image_set(10, "val"))
    common = {"dataset": sets, "overrides": TINY, "device": "cpu"}
    zoo.train("convae-200", recipe=whole, shuffle=True, out=tmp_path / "a", **common)
    expected = {"epochs": 1, "batch_size": 16, "learning_rate": 0.01, "precision": "fp32"}
    assert RunFolder(tmp_path / "a").read().recipe == Recipe(**expected, seed=3, shuffle=True)
    zoo.train("convae-200", recipe="linear-residual-200", epochs=1, out=tmp_path / "b", **common)
    named = zoo.model_info("linear-residual-200").recipe
    found = RunFolder(tmp_path / "b").read().recipe
    assert (found.learning_rate, found.schedule) == (named.learning_rate, named.schedule)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": 0}, ConfigError, "epochs must be a whole number of at least 1.*, got 0"),
        ({"batch_size": -1}, ConfigError, "batch_size must be a whole number"),
        ({"learning_rate": float("nan")}, ConfigError, "learning_rate must be a number"),
        ({"precision": "fp64"}, ConfigError, "precision must be one of auto, fp32, bf16"),
        ({"optimizer": "adma"}, UnknownNameError, "unknown optimizer 'adma'; did you mean 'adam'"),
        ({"seed": 2**64}, ConfigError, "seed must be a whole number of at least 0, below 2"),
        ({"checkpoint_every": 0}, ConfigError, "checkpoint_every must be at least 1"),
        ({"epoch": 3}, UnknownNameError, "unknown training setting 'epoch'; did you mean 'epochs'"),
        ({"overwrit": True}, UnknownNameError, "did you mean 'overwrite'"),
        ({"loss": "msee"}, UnknownNameError, "unknown loss 'msee'; did you mean 'mse'"),
        ({"device": "tpu"}, UnknownNameError, "unknown device 'tpu'"),
        ({"dataset": "fotos"}, UnknownNameError, "unknown dataset 'fotos'"),
        ({"data": "a-folder"}, UsageError, "data and download are for datasets by name"),
        ({"download": True}, UsageError, "data and download are for datasets by name"),
        ({"dataset": None}, UsageError, "dataset must be a name, or a pair of ImageSets, got None"),
        ({"model": "convae-20"}, UnknownNameError, "did you mean 'convae-200'"),
        ({"model": None}, UsageError, "model must be a name, a path or an Autoencoder, got None"),
        ({"model": 5}, UsageError, "model must be a name, a path or an Autoencoder, got 5"),
        ({"recipe": "quick"}, UnknownNameError, "unknown recipe 'quick'"),
        ({"recipe": 5}, UsageError, "recipe must be a Recipe or the name of one, got 5"),
    ],
)
def test_bad_settings_are_refused_in_one_line_and_leave_nothing(settings, error, message, tmp_path):
    with pytest.raises(error, match=message) as caught:
        tiny_train(out=tmp_path / "run", **settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_numpy_integers_are_accepted():
    assert len(tiny_train(epochs=np.int64(1), batch_size=np.int32(50)).train_losses) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_device_missing_on_this_machine_is_refused(name):
    with pytest.raises(UsageError, match=f"no device '{name}': PyTorch finds 0 CUDA devices"):
        tiny_train(device=name, epochs=1)


def test_a_run_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*: Not a directory"):
        tiny_train(out=tmp_path / "file" / "run", epochs=1)


def test_training_does_not_change_the_callers_random_states():
    torch.manual_seed(5)
    before, state = random.getstate(), torch.get_rng_state()
    tiny_train(seed=9, epochs=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == before


def test_training_in_two_threads_gives_the_results_of_each_alone():
    alone = {seed: tiny_train(seed=seed, epochs=2, shuffle=True).train_losses for seed in (3, 4)}
    found = {}

    def run(seed):
        found[seed] = tiny_train(seed=seed, epochs=2, shuffle=True).train_losses

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


def test_training_does_not_depend_on_the_callers_modes_and_defaults():
    settings = {"dataset": (image_set(), image_set(30, "val", 1)), "epochs": 1}
    expected = tiny_train(**settings).train_losses
    with torch.inference_mode():
        assert tiny_train(**settings).train_losses == expected
    with torch.no_grad(), torch.device("meta"):
        assert tiny_train(**settings).train_losses == expected
    torch.set_default_dtype(torch.float64)
    try:
        assert tiny_train(**settings).train_losses == expected
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def in_inference_mode():
    with torch.inference_mode():
        return tiny_model()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: tiny_model().double(), r"has weights of torch.float64; training needs float32"),
        (lambda: tiny_model().half(), r"has weights of torch.float16; training needs float32"),
        (lambda: tiny_model().requires_grad_(requires_grad=False), "has no trainable parameter"),
        (lambda: tiny_model().to("meta"), "is on the meta device"),
        (in_inference_mode, "was built in torch.inference_mode"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused_in_one_line(make, reason, tmp_path):
    with pytest.raises(UsageError, match=f"model 'convae-200' {reason}") as caught:
        tiny_train(make(), epochs=1, out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_too_few_images_to_initialise_from_are_reported():
    one = image_set(1)
    with pytest.raises(TrainingError, match=r"linear-residual.* not finite; 1 images are too few"):
        zoo.train(
            "linear-residual-200",
            dataset=(one, one),
            overrides={"image_size": 8, "width": 2, "hidden": 4, "latent_dim": 8},
            epochs=1,
            device="cpu",
            precision="fp32",
        )


def test_negative_labels_are_drawn_as_numbers(tmp_path):
    images = image_set(30, "val", 1)
    images.labels = torch.full((30,), -1)
    assert tiny_train(dataset=(image_set(), images), epochs=1, out=tmp_path / "run").val_losses


def test_a_loss_can_be_any_module(tmp_path):
    registered = tiny_train(epochs=1, loss="0.5*mse")
    result = tiny_train(epochs=1, loss=HalfMse(), out=tmp_path / "run")
    assert result.train_losses == pytest.approx(registered.train_losses)
    record = RunFolder(tmp_path / "run").read()
    assert record.recipe.loss.endswith("test_run:HalfMse")
    zoo.evaluate(zoo.load_model(tmp_path / "run"), image_set(30, "val", 1), baseline=False)
    with pytest.raises(UsageError, match=r"loss of the class .*HalfMse, .* train\(loss=...\)"):
        tiny_train(epochs=2, resume=True, out=tmp_path / "run")
    with pytest.raises(UsageError, match=r"loss .*HalfMse but is resumed with .*MSELoss"):
        tiny_train(epochs=2, resume=True, loss=nn.MSELoss(), out=tmp_path / "run")
    resumed = tiny_train(epochs=2, resume=True, loss=HalfMse(), out=tmp_path / "run")
    assert resumed.train_losses == tiny_train(epochs=2, loss=HalfMse()).train_losses


def test_a_loss_module_without_a_scalar_value_is_refused():
    with pytest.raises(UsageError, match=r"loss .*MSELoss: a loss must return a scalar tensor"):
        tiny_train(epochs=1, loss=nn.MSELoss(reduction="none"))


def test_a_run_starts_from_stored_or_from_fresh_weights(tmp_path, capsys):
    first = tiny_train(epochs=1, out=tmp_path / "first")
    sources = (tmp_path / "first", str(tmp_path / "first"), tmp_path / "first/model.safetensors")
    for number, source in enumerate(sources):
        out = tmp_path / f"from-{number}"
        goes_on = zoo.train(
            source,
            dataset=(image_set(), image_set(30, "val", 1)),
            epochs=1,
            learning_rate=1e-12,
            precision="fp32",
            device="cpu",
            out=out,
            progress=True,
        )
        assert goes_on.val_losses == pytest.approx(first.val_losses, rel=1e-4)
        assert f"starting from the weights {source}" in capsys.readouterr().err
        started = RunFolder(out).read().started_from
        assert started["name"] == str(source)
        assert len(started["sha256"]) == 64
    fresh = zoo.train(
        tmp_path / "first",
        dataset=(image_set(), image_set(30, "val", 1)),
        fresh=True,
        epochs=1,
        batch_size=16,
        precision="fp32",
        device="cpu",
        out=tmp_path / "fresh",
    )
    assert fresh.train_losses == first.train_losses
    assert RunFolder(tmp_path / "fresh").read().started_from is None


def test_a_name_with_a_tag_starts_from_its_weights():
    sets = (image_set(8, size=32), image_set(8, "val", size=32))
    settings = {"dataset": sets, "epochs": 1, "learning_rate": 1e-12, "device": "cpu"}
    stored = zoo.evaluate(zoo.load_model("convae-200.photos"), sets[1], baseline=False)
    mse = stored.model.mse_in_range
    trained = zoo.train("convae-200.photos", precision="fp32", **settings)
    assert trained.val_losses[0] == pytest.approx(mse, rel=1e-3)
    fresh = zoo.train("convae-200.photos", fresh=True, precision="fp32", **settings)
    assert fresh.val_losses[0] != pytest.approx(mse, rel=1e-2)
    with pytest.raises(UsageError, match="overrides go with fresh weights"):
        zoo.train("convae-200.photos", overrides=TINY, **settings)


def test_a_registered_name_takes_precedence_over_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_train(epochs=1, out="convae-200")
    assert tiny_train(epochs=2, out="convae-200", resume=True).epochs[-1].epoch == 2
