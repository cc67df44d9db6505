"""``convae-zoo show``."""

import hashlib
import json
import re
import types

import attrs
import pytest

import convae_zoo
import detectors
from convae_zoo import Recipe, registry
from convae_zoo.cli import main
from convae_zoo.evaluation import cost
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.recipe_settings import OPTIMIZERS
from convae_zoo.weights import file_format

MODELS = """
from convae_zoo import hookimpl
from convae_zoo import ModelSpec, Recipe, WeightsSpec
@hookimpl
def register_models(register):
    register(ModelSpec(
        name="mine", encoder="convae", decoder="convae",
        encoder_config={"latent_dim": 7}, decoder_config={"latent_dim": 7},
        weights=[
            WeightsSpec(tag="photos", dataset="photos", file="p:f.safetensors", sha256="0" * 64,
                        recipe=Recipe(epochs=3), metrics={"psnr": 21.5}, license="CC0-1.0"),
            WeightsSpec(tag="none", dataset="mnist"),
        ]))
    register(ModelSpec(name="orphan", encoder="gone", decoder="convae"))
    register(ModelSpec(name="torn", encoder="convae", decoder="convae",
                       encoder_config={"latent_dim": 3}))
"""


def shown(plugin_site, *args):
    done = plugin_site.run("show", *args, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["entries"]


def test_a_model_is_shown_with_shapes_parts_recipe_and_distribution(plugin_site):
    (entry,) = shown(plugin_site, "convae-200")
    assert entry["kind"] == "model"
    assert entry["image_shape"] == [3, 32, 32]
    assert entry["latent_shape"] == [200]
    assert entry["value_range"] == [-1.0, 1.0]
    assert entry["distribution"] == entry["encoder"]["distribution"] == "convae-zoo"
    assert entry["encoder"]["config"]["latent_dim"] == 200
    assert entry["recipe"]["batch_size"] == 64
    text = plugin_site.run("show", "convae-200").stdout
    for words in ("images        3×32×32 in [-1, 1]", "latent        200", "  batch_size     64"):
        assert words in text


def test_config_fields_are_shown_with_type_default_and_accepted_values(plugin_site):
    (entry,) = shown(plugin_site, "convae", "--kind", "encoder")
    fields = {field["name"]: field for field in entry["config"]}
    assert fields["image_size"] == {
        "name": "image_size",
        "type": "int",
        "default": 32,
        "accepts": "a whole number of at least 4 that is divisible by 4",
    }
    assert entry["input_shape"] == [3, 32, 32]
    text = plugin_site.run("show", "convae", "--kind", "encoder").stdout
    assert "activation   str   relu     one of relu, leaky_relu, elu" in text
    assert "decoder" not in text


def test_a_name_of_several_kinds_shows_them_all(plugin_site):
    assert [e["kind"] for e in shown(plugin_site, "convae")] == ["encoder", "decoder"]
    lines = plugin_site.run("show", "convae").stdout.splitlines()
    assert [li for li in lines if not li.startswith(" ") and "convae" in li] == [
        "convae  encoder",
        "convae  decoder",
    ]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(k, n) for k in KINDS for n in getattr(convae_zoo, f"list_{KINDS[k].plural}")()],
)
def test_every_installed_entry_can_be_shown(kind, name, capsys):
    assert main(["show", name, "--kind", kind, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert (entry["kind"], entry["name"]) == (kind, name)
    assert "problem" not in entry
    assert main(["show", name, "--kind", kind]) == 0
    assert capsys.readouterr().out.startswith(f"{name}  {kind}\n")


def test_a_model_shows_what_its_recipe_can_set(capsys):
    assert main(["show", "convae-200"]) == 0
    text = capsys.readouterr().out
    assert "  warmup_steps   Optimiser steps of linear learning-rate warm-up.\n" in text
    assert "  muon   momentum=0.95, weight_decay=0, adam_ratio=0.05\n" in text
    assert re.search(r"  crop +scale=1:8, count=16\n", text)
    assert main(["show", "convae-200", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert set(entry["recipe_settings"]["fields"]) == set(entry["recipe"])
    assert set(entry["recipe_settings"]["optimizers"]) == set(OPTIMIZERS)


def test_an_entry_names_the_distribution_that_it_comes_from(plugin_site):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder}, version="2.5")
    (entry,) = shown(plugin_site, "tiny")
    assert (entry["plugin"], entry["distribution"], entry["version"]) == (
        "tiny",
        "tiny-dist",
        "2.5",
    )
    assert "distribution  tiny-dist 2.5" in plugin_site.run("show", "tiny").stdout


def test_weights_are_shown_by_tag_and_whether_they_are_trained(plugin_site):
    plugin_site.install("mine-dist", {"mine": MODELS})
    (model,) = shown(plugin_site, "mine")
    assert [(w["tag"], w["trained"]) for w in model["weights"]] == [
        ("photos", True),
        ("none", False),
    ]
    text = plugin_site.run("show", "mine").stdout
    assert "mine.photos  photos   yes      CC0-1.0" in text
    assert "mine.none    mnist    no" in text
    (weights,) = shown(plugin_site, "mine.photos")
    assert (weights["kind"], weights["model"], weights["license"]) == ("weights", "mine", "CC0-1.0")
    assert weights["recipe"]["epochs"] == 3
    assert shown(plugin_site, "mine.none")[0]["recipe"]["epochs"] == 10
    assert "metrics       psnr 21.5" in plugin_site.run("show", "mine.photos").stdout


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("orphan", "unknown encoder 'gone'; known: convae"),
        ("torn", "encoder 'convae' returns a latent of shape 3 but decoder 'convae' expects 200"),
    ],
)
def test_a_model_that_cannot_be_built_is_shown_with_the_reason(plugin_site, name, problem):
    plugin_site.install("mine-dist", {"mine": MODELS})
    (entry,) = shown(plugin_site, name)
    assert entry["problem"].startswith(problem.split(";")[0])
    assert problem.split(";")[0] in plugin_site.run("show", name).stdout


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["conva-200"], "error: unknown name 'conva-200'; did you mean 'convae-200'"),
        (["mse", "--kind", "model"], "error: unknown model 'mse'; "),
        (["convae-200.photoz"], "error: unknown weights of model 'convae-200': 'photoz'"),
        (["convae-20.photos"], "error: unknown model 'convae-20'; did you mean 'convae-200'"),
        (["a.b", "--kind", "loss"], "error: unknown loss 'a.b'"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(plugin_site, args, line):
    done = plugin_site.run("show", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


CARD = """
from convae_zoo import hookimpl
from convae_zoo import ModelSpec, WeightsSpec
@hookimpl
def register_models(register):
    parts = {"latent_dim": 7, "image_size": 16, "width": 2}
    figures = {"mse": 0.01, "psnr": 21.5, "ssim": 0.75}
    pca = {"pca_mse": 0.0125, "pca_psnr": 20.25, "pca_ssim": None, "ratio_to_pca": 0.8}
    register(ModelSpec(
        name="mine", encoder="convae", decoder="convae", encoder_config=parts,
        decoder_config=parts, parameters=1234, flops=56789,
        weights=[
            WeightsSpec(tag="clothes", dataset="fashion-mnist", file="p:f.safetensors",
                        sha256="0" * 64, metrics={**figures, **pca, "images": 10000},
                        card={"storage": {"dtype": "fp16", "bytes": 2**20, "cost": 0.0001},
                              "training": {"seconds": 61.4, "device": "cpu", "flops": 12e12}}),
            WeightsSpec(tag="late", dataset="photos"),
        ]))
"""


def test_the_card_of_weights_has_parts_costs_quality_and_licences(plugin_site):
    plugin_site.install("mine-dist", {"mine": CARD})
    (card,) = shown(plugin_site, "mine.clothes")
    assert card["encoder"]["config"]["latent_dim"] == 7
    assert (card["parameters"], card["flops"]) == (1234, 56789)
    assert card["latent_floats"] == 7
    assert card["compression_ratio"] == 3 * 16 * 16 / 7
    assert card["dataset_license"] == "MIT"
    lines = [
        " ".join(li.split()) for li in plugin_site.run("show", "mine.clothes").stdout.split("\n")
    ]
    for line in (
        "latent 7, 7 floats, 109.71 pixel values per float",
        "parameters 1,234",
        "FLOPs 56,789",
        "data licence MIT",
        "storage fp16, 1.00 MiB; costs 0.0100% of the mse",
        "training 61 s, cpu; 1.2e+13 FLOPs",
        "mine.clothes 0.010000 21.50 dB 0.7500 0.800",
        "PCA-7 0.012500 20.25 dB - 1.000",
    ):
        assert line in lines


def test_the_card_of_untrained_weights_says_how_to_train_them(plugin_site):
    plugin_site.install("mine-dist", {"mine": CARD})
    text = plugin_site.run("show", "mine.late").stdout
    assert "train it      convae-zoo retrain mine.late --out runs/mine.late" in text


def test_measuring_counts_and_times_a_model_on_this_machine(plugin_site, run, monkeypatch):
    monkeypatch.setattr(cost, "_SECONDS", 0.1)
    plugin_site.install("mine-dist", {"mine": CARD})
    with registry.override():
        done = run("show", "mine.late", "--measure", "--device", "cpu", "--json")
    assert (done[0], done[2]) == (0, "")
    (card,) = json.loads(done[1])["entries"]
    model = convae_zoo.create_model("convae-200", latent_dim=7, image_size=16, width=2)
    assert card["parameters"] == sum(p.numel() for p in model.parameters())
    assert card["flops"] > 2 * card["parameters"]
    assert card["speed"]["images_per_second"] > 1
    status, out, err = run("show", "mse", "--measure")
    assert (status, out) == (2, "")
    assert "'mse' is not a model" in err


@pytest.mark.parametrize("folder", [True, False], ids=["run folder", "file"])
def test_a_weights_file_is_shown_from_its_metadata(folder, tmp_path, capsys):
    model = convae_zoo.create_model("convae-200", width=2, image_size=8, latent_dim=4)
    path = tmp_path / "model.safetensors"
    told = {"dataset": {"name": "photos", "license": "CC0"}, "license": "MIT"}
    convae_zoo.save_model(model, path, dtype="fp16", recipe=Recipe(epochs=3), **told)
    name = str(tmp_path if folder else path)
    assert main(["show", name, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert (entry["kind"], entry["name"], entry["model"]) == ("weights", name, "convae-200")
    assert (entry["image_shape"], entry["latent_shape"]) == ([3, 8, 8], [4])
    assert entry["encoder"]["config"]["width"] == 2
    assert entry["encoder"]["distribution"] == "convae-zoo"
    assert (entry["dataset"], entry["dataset_license"], entry["license"]) == (
        "photos",
        "CC0",
        "MIT",
    )
    assert entry["recipe"]["epochs"] == 3
    assert entry["file"] == str(path)
    assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert main(["show", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{name}  weights\n  summary       convae-200 trained on photos\n")
    assert "storage       fp16, 0.0" in text


def test_a_detector_file_is_shown_with_what_it_takes_and_its_threshold(tmp_path, capsys):
    for detector, taken in (
        (detectors.whole(), "8×8, whole, channels 1"),
        (detectors.tiled(), "any size from a tile's, by tiles, channels 3"),
    ):
        path = tmp_path / "d.safetensors"
        detector.save(path)
        assert main(["show", str(path), "--json"]) == 0
        (entry,) = json.loads(capsys.readouterr().out)["entries"]
        assert (entry["kind"], entry["model"]) == ("detector", "convae-200")
        assert entry["score"]["name"] == "reconstruction"
        assert entry["score"]["distribution"] == "convae-zoo"
        assert (entry["alarm_rate"], entry["threshold"]) == (0.1, detector.threshold_)
        assert entry["held_out"] == detector.n_calibration_
        assert entry["encoder"]["config"]["width"] == 2
        assert main(["show", str(path)]) == 0
        text = capsys.readouterr().out
        assert f"pictures      {taken}\n" in text
        assert "score reconstruction  (convae-zoo" in text


def test_a_detector_with_registered_weights_is_shown_with_their_name(tmp_path, capsys):
    given = {"score": "reconstruction", "alarm_rate": 0.2, "device": "cpu"}
    detector = convae_zoo.AnomalyDetector("convae-200.photos", train=False, **given)
    detector.fit(detectors.smooth(10, size=32)).save(tmp_path / "d.safetensors")
    assert main(["show", str(tmp_path / "d.safetensors")]) == 0
    assert "  model         convae-200.photos\n" in capsys.readouterr().out


def test_a_detector_file_that_describes_none_is_one_line_of_error(tmp_path, capsys):
    path = tmp_path / "d.safetensors"
    detectors.whole().save(path)
    document, tensors = file_format.unpack(path.read_bytes(), "it")
    for change in ({"arguments": {}}, {"kind": "picture"}, {"layout": 3}):
        path.write_bytes(b"".join(file_format.pack({**document, **change}, tensors)))
        assert main(["show", str(path)]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"error: {path}")
        assert told.count("\n") == 1
        assert "detector" in told


def test_a_weights_file_of_parts_that_are_not_installed_says_so(tmp_path, capsys):
    def register_encoders(register):
        register(attrs.evolve(convae, name="gone"))

    convae = registry.get_registry().get("encoder", "convae")
    plugin = types.ModuleType("elsewhere")
    plugin.register_encoders = convae_zoo.hookimpl(register_encoders)
    path = tmp_path / "model.safetensors"
    small = {"width": 2, "image_size": 8, "latent_dim": 4}
    with registry.override(plugins=[plugin]):
        convae_zoo.save_model(convae_zoo.create_model("gone+convae", **small), path)
    assert main(["show", str(path), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["problem"].startswith("unknown encoder 'gone'")
    assert entry["encoder"]["distribution"] == "elsewhere"
    assert (entry["model"], entry["dataset"]) == ("gone+convae", None)


def test_a_path_without_weights_is_one_line_of_error(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: folder {tmp_path} has no model.safetensors;")
    assert main(["show", str(tmp_path / "no.safetensors")]) == 1
    assert capsys.readouterr().err.endswith("no.safetensors: there is no such file\n")
