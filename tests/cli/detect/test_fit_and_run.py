"""``detect fit`` and ``detect run``: from a folder of good pictures to scores and heatmaps."""

import csv
import json

import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from detectors import smooth


def write(images, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{number:02}.png")


@pytest.fixture
def good(tmp_path):
    """A folder of 30 colour pictures 24×24."""
    write(smooth(30, size=24, channels=3), tmp_path / "good")
    return tmp_path / "good"


@pytest.fixture
def new(tmp_path):
    """A folder of three normal pictures, one of noise (03.png), and a file that is none."""
    noise = torch.randint(0, 256, (1, 3, 24, 24), generator=torch.Generator().manual_seed(0))
    write(torch.cat([smooth(30, size=24, channels=3)[:3], noise.byte()]), tmp_path / "new")
    (tmp_path / "new" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "new"


FIT = (
    "convae-200",
    "--set",
    "width=2",
    "--set",
    "latent_dim=4",
    "--epochs",
    "1",
    "--device",
    "cpu",
)
RATE = ("--alarm-rate", "0.1")
MORE = ("--score", "reconstruction", *RATE)


@pytest.fixture
def fitted(run, good, tmp_path):
    """A detector file."""
    out = tmp_path / "d.safetensors"
    status, printed, err = run("detect", "fit", *FIT, *MORE, "--data", good, "--out", out)
    assert status == 0, err
    assert "30 normal, 9 of them held out" in printed
    assert f"detector   {out}" in printed
    assert "training convae-200 on 21 images" in err
    return out


def test_scores_are_written_as_csv_with_a_heatmap_per_image(run, fitted, new, tmp_path):
    out = tmp_path / "found"
    status, printed, err = run("detect", "run", fitted, new, "--out", out)
    assert status == 0
    assert printed.startswith("1 of 4 images flagged at an alarm rate of 0.1, 1 skipped")
    assert f"skipped: {new / 'broken.png'} is not an image that can be read" in err
    with (out / "scores.csv").open() as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    detector = zoo.AnomalyDetector.load(fitted)
    names = sorted(rows)
    assert names == ["00.png", "01.png", "02.png", "03.png"]
    paths = [new / name for name in names]
    assert [float(rows[n]["score"]) for n in names] == (-detector.score_samples(paths)).tolist()
    assert [float(rows[n]["p_value"]) for n in names] == detector.p_values(paths).tolist()
    assert [rows[n]["anomalous"] for n in names] == ["0", "0", "0", "1"]
    assert sorted(p.name for p in out.iterdir()) == [*(f"{n}.png" for n in names), "scores.csv"]
    outlined = []
    for name in names:
        with Image.open(out / f"{name}.png") as heatmap:
            outlined.append((0, 229, 255) in heatmap.get_flattened_data())
    assert outlined == [False, False, False, True]


def test_json_is_one_document_with_the_same_content(run, fitted, new):
    status, printed, _ = run("detect", "run", fitted, new, "--json")
    assert status == 0
    document = json.loads(printed)
    assert document["alarm_rate"] == 0.1
    assert len(document["skipped"]) == 1
    assert [each["anomalous"] for each in document["findings"]] == [False, False, False, True]
    assert all(
        each["anomalous"] == (each["score"] > document["threshold"])
        for each in document["findings"]
    )


def test_without_an_output_a_table_is_printed(run, fitted, new):
    status, printed, _ = run("detect", "run", fitted, new / "00.png", new / "03.png")
    assert status == 0
    assert [line.split()[0] for line in printed.splitlines()] == ["IMAGE", "00.png", "03.png", "1"]
    assert "anomalous" in printed.splitlines()[2]


def test_scripts_can_fail_on_an_anomaly(run, fitted, new):
    assert run("detect", "run", fitted, new, "--fail-on-anomaly")[0] == 1
    assert run("detect", "run", fitted, new / "00.png", "--fail-on-anomaly")[0] == 0


def test_the_alarm_rate_can_be_changed_but_not_below_what_was_held_out(run, fitted, new):
    status, printed, _ = run("detect", "run", fitted, new, "--alarm-rate", "0.9", "--json")
    assert status == 0
    assert json.loads(printed)["alarm_rate"] == 0.9
    status, _, err = run("detect", "run", fitted, new, "--alarm-rate", "0.01")
    assert status == 1
    assert "needs 99 held-out normal images and there are 9, 90 too few" in err


def test_a_second_run_replaces_its_own_files_and_no_others(run, fitted, new, tmp_path):
    out = tmp_path / "found"
    run("detect", "run", fitted, new, "--out", out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert run("detect", "run", fitted, new, "--out", out)[0] == 0
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    (out / "00.png.png").write_bytes((new / "00.png").read_bytes())
    (out / "scores.csv").write_text("mine")
    status, _, err = run("detect", "run", fitted, new, "--out", out)
    assert status == 2
    assert "00.png.png and 1 more already exist and were not written by detect" in err
    assert run("detect", "run", fitted, new, "--out", out, "--overwrite")[0] == 0
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_heatmaps_can_be_left_out(run, fitted, new, tmp_path):
    assert run("detect", "run", fitted, new, "--out", tmp_path / "a", "--no-heatmaps")[0] == 0
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["scores.csv"]


def test_the_good_images_of_a_folder_like_mvtec_ad_are_used_alone(run, tmp_path):
    write(smooth(20, size=24, channels=3), tmp_path / "part" / "train" / "good")
    write(smooth(5, size=24, channels=3), tmp_path / "part" / "test" / "crack")
    out = tmp_path / "d.safetensors"
    status, printed, _ = run(
        "detect", "fit", *FIT, *MORE, "--data", tmp_path / "part", "--out", out
    )
    assert status == 0
    assert "20 normal" in printed


def test_a_folder_like_mvtec_ad_without_good_images_is_refused(run, tmp_path):
    for folder in ("test/crack", "ground_truth/crack"):
        write(smooth(20, size=24, channels=3), tmp_path / "part" / folder)
    out = tmp_path / "d.safetensors"
    status, _, err = run("detect", "fit", *FIT, *MORE, "--data", tmp_path / "part", "--out", out)
    assert status == 1
    assert "has ground_truth, as in the layout of MVTec AD, but no train/good" in err
    assert not out.exists()


def test_one_class_of_a_dataset_is_the_normal_one(run, waves_dataset, tmp_path):  # noqa: ARG001 - registers it
    out = tmp_path / "d.safetensors"
    given = ("--dataset", "waves", "--normal-class", "rough", "--out", out)
    status, printed, err = run("detect", "fit", *FIT, *MORE, *given)
    assert status == 0, err
    assert "30 normal" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "detect fit needs normal images: pass --data FOLDER or --dataset NAME"),
        (("--data", "gone"), "folder gone does not exist"),
        (("--data", "good", "--normal-class", "1"), "--normal-class and --download go with"),
        (("--data", "good", "--alarm-rate", "0.001"), "needs 999 held-out normal images"),
        (("--data", "good", "--score", "nothing", *RATE), "unknown score 'nothing'"),
        (("--data", "good", "--no-train", *RATE), "leave out --recipe, --epochs and --set"),
    ],
)
def test_a_call_that_cannot_work_says_why_in_one_line(
    run, good, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(good.parent)
    out = tmp_path / "d.safetensors"
    status, _, err = run("detect", "fit", *FIT, *arguments, "--out", out)
    assert status in {1, 2}
    assert len(err.strip().splitlines()) == 1
    assert message in err
    assert not out.exists()


def test_the_detector_and_the_images_are_no_outputs(run, fitted, new):
    for out in (fitted, new):
        status, _, err = run("detect", "run", fitted, new, "--out", out)
        assert status == 2
        assert "is an input of this command" in err


def test_an_unknown_subcommand_is_refused_with_the_known_ones(run):
    status, _, err = run("detect", "fitt")
    assert status == 2
    assert "unknown command 'fitt'; did you mean 'fit'?" in err
