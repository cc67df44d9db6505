import json

import pytest

import convae_zoo as zoo
from convae_zoo.evaluation import evaluate

pytestmark = pytest.mark.usefixtures("waves_dataset")


def test_json_is_one_document_with_what_evaluate_finds(run, trained, waves_dataset):
    path = trained()
    status, out, err = run("evaluate", path, "--dataset", "waves", "--device", "cpu", "--json")
    found = json.loads(out)
    again = evaluate(zoo.load_model(path), waves_dataset("val"), train=waves_dataset("train"))
    assert (status, err) == (0, "")
    assert found["model"] == again.to_json()["model"]
    assert found["pca"]["mse"] == pytest.approx(again.pca.mse, rel=1e-6)
    assert (found["dataset"], found["split"], found["images"]) == ("waves", "val", 30)
    assert (found["latent_floats"], found["pca_images"]) == (6, 60)
    assert found["fingerprint"] == waves_dataset("val").fingerprint


def test_registered_weights_are_named_with_their_tag(run):
    status, out, _ = run("evaluate", "convae-200.photos", "--dataset", "waves", "--no-baseline")
    assert status == 0
    assert out.startswith("convae-200.photos on waves")
    assert out.splitlines()[2].split()[0] == "convae-200.photos"


def test_the_table_has_a_row_for_the_model_and_one_for_pca(run, trained, waves_dataset):
    path = trained()
    found = evaluate(zoo.load_model(path), waves_dataset("val"), train=waves_dataset("train"))
    status, out, err = run("evaluate", path, "--dataset", "waves")
    first, head, model, pca, last = out.splitlines()
    assert (status, err) == (0, "")
    assert first.startswith("convae-200 on waves, split val: 30 images, 6 latent floats for 768 ")
    assert "128.0 : 1" in first
    assert "MSE IN [0, 1]" in head
    assert "MSE IN [-1, 1]" in head
    assert model.split() == [
        "convae-200",
        f"{found.model.mse:.6f}",
        f"{found.model.mse_in_range:.6f}",
        f"{found.model.psnr:.2f}",
        "dB",
        f"{found.model.ssim:.4f}",
        f"{found.model.sharpness:.3f}",
        f"{found.ratio_to_pca:.3f}",
    ]
    assert pca.split()[:2] == ["PCA-6", f"{found.pca.mse:.6f}"]
    assert last == "PCA was fitted on 60 training images"


def test_the_split_and_the_baseline_can_be_chosen(run, trained):
    args = ("evaluate", trained(), "--dataset", "waves", "--split", "train", "--no-baseline")
    status, out, _ = run(*args)
    assert status == 0
    assert "split train: 60 images" in out
    assert out.splitlines()[-1] == "no PCA: PCA was not requested"
    assert "PCA-6" not in out


def test_the_reason_for_a_missing_baseline_is_printed(run, trained):
    path = trained(latent_dim=61)
    status, out, _ = run("evaluate", path, "--dataset", "waves")
    assert status == 0
    assert out.splitlines()[-1].endswith("there are 60")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--dataset", "wavs"], 2, "did you mean 'waves'"),
        (["--dataset", "waves", "--split", "vall"], 2, "did you mean 'val'"),
        (["--dataset", "waves", "--download"], 2, "cannot be downloaded"),
        (["--dataset", "waves", "--device", "tpu"], 2, "tpu"),
        ([], 2, "--dataset"),
    ],
)
def test_a_wrong_call_is_one_line(run, trained, options, status, words):
    found, out, err = run("evaluate", trained(), *options, "--json")
    assert (found, out) == (status, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_missing_file_is_one_line(run, tmp_path):
    status, out, err = run("evaluate", tmp_path / "none.safetensors", "--dataset", "waves")
    assert (status, out) == (1, "")
    assert "none.safetensors" in err
    assert err.count("\n") == 1
