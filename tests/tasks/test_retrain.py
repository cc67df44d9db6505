"""Registered weights retrained: compared with the stored ones, and stored in their place."""

import contextlib
import copy
import functools
import hashlib
import importlib
import json
import sys
import types

import attrs
import pytest
import torch

import convae_zoo as zoo
from convae_zoo import registry
from convae_zoo.data import ImageSet, PictureSet
from convae_zoo.errors import UsageError, WeightsError
from convae_zoo.evaluation import evaluate
from convae_zoo.evaluation.leaderboard import trained_on
from convae_zoo.files import claim_output, write_bytes
from convae_zoo.registry.discovery import load_entry_points
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.shipped_weights import replacing, shipped_weights
from convae_zoo.registry.specs import DatasetSpec, ModelSpec, Provenance, Recipe, WeightsSpec
from convae_zoo.tasks import retrain
from convae_zoo.weights.load import read_metadata

SIZES = {"train": 60, "val": 30}
CROPS = "crop(count=2) + flip"
PARTS = {"latent_dim": 6, "width": 2, "image_size": 16}


def waves(split):
    """Smooth 16×16 colour images."""
    draw = torch.Generator().manual_seed(SIZES[split])
    base = torch.rand(SIZES[split], 3, 4, 4, generator=draw)
    smooth = torch.nn.functional.interpolate(base, (16, 16), mode="bicubic").clamp(0, 1)
    return ImageSet(
        name="waves", split=split, images=(smooth * 255).round().byte(), license="CC0-1.0"
    )


def whole_waves(split):
    """The same as pictures of 40×24 pixels."""
    images = torch.nn.functional.interpolate(waves(split).images.float(), (40, 24)).byte()
    return PictureSet(name="waves", split=split, pictures=tuple(images), license="CC0-1.0")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A package ``shop`` with a model ``small`` and the tags ``waves`` and ``late``.

    Calling it registers the package's models anew; it gives the folder of its weights.
    """
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    importlib.invalidate_caches()

    @zoo.hookimpl
    def register_datasets(register):
        register(DatasetSpec(name="waves", factory=waves, pictures=whole_waves))

    @zoo.hookimpl
    def register_models(register):
        shipped = shipped_weights("shop")
        recipe = Recipe(epochs=2, batch_size=16, learning_rate=1e-2, precision="fp32")
        tags = (
            WeightsSpec(tag="waves", dataset="waves", recipe=recipe, license="CC-BY-4.0"),
            WeightsSpec(tag="late", dataset="waves"),
            WeightsSpec(tag="crops", dataset="waves", recipe=attrs.evolve(recipe, augment=CROPS)),
        )
        register(
            ModelSpec(
                name="small",
                encoder="convae",
                decoder="convae",
                encoder_config=PARTS,
                decoder_config=PARTS,
                weights=[shipped.fill("small", tag) for tag in tags],
            )
        )

    module = types.ModuleType("shop_register")
    module.register_datasets, module.register_models = register_datasets, register_models

    with contextlib.ExitStack() as stack:

        def register_anew():
            manager = load_entry_points()
            manager.add(Provenance("shop", "shop-dist", "1.0"), lambda: module)
            stack.enter_context(registry.override(build_registry(manager)))
            return package / "weights"

        register_anew()
        yield register_anew


@functools.cache
def _made():
    return retrain.retrain("small.waves", device="cpu")


def made_once():
    """Return what retraining ``small.waves`` makes, trained once, with a model of its own."""
    return attrs.evolve(_made(), model=copy.deepcopy(_made().model))


def reevaluated(made):
    return attrs.evolve(made, evaluation=evaluate(made.model, waves("val"), device="cpu"))


def test_a_tag_without_a_file_is_untrained_and_says_how_to_train(shop):
    assert shop().exists() is False
    assert zoo.list_models("small*", pretrained=True) == []
    with pytest.raises(WeightsError, match=r"convae-zoo retrain small.waves --out runs/small.wav"):
        zoo.load_model("small.waves")


def test_a_recipe_with_crops_trains_on_whole_pictures_and_pca_on_the_datasets_images(shop):
    made = retrain.retrain("small.crops", device="cpu")
    assert (len(made.train), made.val.fingerprint) == (60, waves("val").fingerprint)
    assert made.train.fingerprint == whole_waves("train").fingerprint
    assert made.evaluation.pca_images == 60
    plain = retrain.retrain("small.waves", device="cpu")
    assert made.training["flops"] == 2 * plain.training["flops"], "two crops of each picture"
    stored = retrain.store(made, shop())
    assert read_metadata(stored.path)["recipe"]["augment"] == CROPS


def test_weights_that_another_command_trained_are_refused_with_that_command(shop):
    card = {"training": {"command": "python -m mine", "seconds": 1, "device": "cpu"}}
    with replacing(shop(), "small.waves", {"sha256": "0" * 64, "metrics": {}, "card": card}):
        pass
    shop()
    with pytest.raises(UsageError, match=r"by 'python -m mine'; run that, or 'convae-zoo train sm"):
        retrain.retrain("small.waves")


def test_what_is_stored_is_registered_loads_by_name_and_measures_as_its_card_says(shop):
    made = made_once()
    stored = retrain.store(made, shop())
    weights = zoo.model_info(shop() and "small").tag("waves")
    assert weights.trained
    assert weights.sha256 == hashlib.sha256(stored.path.read_bytes()).hexdigest()
    assert zoo.list_models("small", pretrained=True) == ["small.waves"]
    assert trained_on("waves") == ["small.waves"]
    assert trained_on("photos") == [n for n in trained_on("photos") if n.endswith(".photos")]
    model = zoo.load_model("small.waves")
    found = evaluate(model, "waves", device="cpu")
    assert weights.metrics["mse"] == pytest.approx(found.model.mse, rel=1e-6)
    assert weights.metrics["psnr"] == pytest.approx(found.model.psnr, rel=1e-6)
    assert weights.metrics["pca_ssim"] == pytest.approx(found.pca.ssim, rel=1e-6)
    assert weights.metrics["ratio_to_pca"] == pytest.approx(found.ratio_to_pca, rel=1e-6)
    assert weights.card["dataset"]["val_fingerprint"] == found.fingerprint


def test_the_file_tells_recipe_data_metrics_licences_and_the_cost_of_its_storage(shop):
    made = made_once()
    stored = retrain.store(made, shop())
    told = zoo.weights.read_metadata(stored.path)
    assert told["recipe"] == attrs.asdict(made.recipe)
    assert told["recipe"]["epochs"] == 2
    assert told["dataset"]["fingerprint"] == waves("train").fingerprint
    assert told["dataset"]["license"] == "CC0-1.0"
    assert told["license"] == "CC-BY-4.0"
    assert told["metrics"] == dict(stored.metrics)
    storage = told["extra"]["storage"]
    assert storage["dtype"] == told["dtype"] == stored.dtype == "fp16"
    assert storage["mse_fp32"] == made.evaluation.model.mse
    assert storage["cost"] == storage["mse_stored"] / storage["mse_fp32"] - 1
    assert abs(storage["cost"]) < retrain.WORTH_STORING
    assert told["extra"]["training"]["flops"] > 60 * 2 * 3 * 1000


def test_weights_beyond_half_precision_are_stored_in_another_way(shop):
    made = made_once()
    with torch.no_grad():
        made.model.encoder.net[13].bias[0] = -1e6  # a dead unit
    assert retrain.store(reevaluated(made), shop()).dtype in {"bf16", "fp32"}


def test_a_model_that_fits_no_file_is_refused_and_nothing_is_written(shop, monkeypatch):
    made = made_once()
    monkeypatch.setattr(retrain, "LARGEST_FILE", retrain.METADATA_ROOM + 1000)
    with pytest.raises(WeightsError, match="does not fit a file"):
        retrain.store(made, shop())
    assert list(shop().iterdir()) == []


def test_training_anew_gives_what_is_stored(shop):
    retrain.store(made_once(), shop())
    shop()
    again = retrain.retrain("small.waves", device="cpu")
    mse = retrain.compare(again)[0]
    assert mse.name == "mse"
    assert mse.ratio == pytest.approx(1, abs=retrain.WORTH_STORING)
    retrain.check_reproduced(again)


def test_another_mse_than_the_stored_one_is_refused(shop):
    retrain.store(made_once(), shop())
    index = shop() / "index.json"
    document = json.loads(index.read_text())
    document["weights"]["small.waves"]["metrics"]["mse"] *= 1.02
    index.write_text(json.dumps(document))
    shop()
    again = attrs.evolve(made_once(), weights=zoo.model_info("small").tag("waves"))
    with pytest.raises(WeightsError, match=r"0\.98.* times the stored one, and a diff.* 1%"):
        retrain.check_reproduced(again)


def test_other_weights_of_the_index_stay_and_one_process_at_a_time_changes_it(shop):
    retrain.store(made_once(), shop())
    first = json.loads((shop() / "index.json").read_text())["weights"]["small.waves"]
    made = made_once()
    told = pytest.raises(UsageError, match="is being written by process")
    with claim_output(shop() / "index.json"), told:
        retrain.store(made, shop())
    retrain.store(attrs.evolve(made, name="small.late"), shop())
    entries = json.loads((shop() / "index.json").read_text())["weights"]
    assert entries["small.waves"] == first
    assert list(entries) == ["small.late", "small.waves"]


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_store_that_is_killed_between_its_writes_leaves_weights_that_load(
    shop, monkeypatch, killed_after
):
    made = made_once()
    old = retrain.store(made, shop()).path.read_bytes()
    with torch.no_grad():
        made.model.decoder.conv[-1].bias += 0.01
    writes = []

    def write_or_die(path, *parts):
        if len(writes) == killed_after:
            raise SystemExit
        write_bytes(path, *parts)
        writes.append(path)

    changed = reevaluated(made)
    with monkeypatch.context() as patch:
        patch.setattr("convae_zoo.files.write_bytes", write_or_die)
        with pytest.raises(SystemExit):
            retrain.store(changed, shop())
    stored = shop() / "small.waves.safetensors"
    assert (stored.read_bytes() == old) == (killed_after == 1)
    told = read_metadata(stored)["metrics"]
    zoo.load_model("small.waves")
    assert dict(zoo.model_info("small").tag("waves").metrics) == told
    retrain.store(changed, shop())
    assert "replaced" not in (shop() / "index.json").read_text()


def test_a_name_without_a_tag_lists_the_tags(shop):
    shop()
    with pytest.raises(UsageError, match=r"retrain 'small.waves' or 'small.late'"):
        retrain.retrain("small")
