"""convae-zoo export."""

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.cli import main
from convae_zoo.weights import file_format
from detectors import tiled


def test_it_writes_the_chosen_part_of_a_file(tmp_path, capsys):
    model = zoo.create_model("convae-200", width=4, latent_dim=8, image_size=8)
    zoo.save_model(model, tmp_path / "m.safetensors")
    out = tmp_path / "decoder.pt2"
    arguments = ["export", str(tmp_path / "m.safetensors"), "--format", "torch-export"]
    assert main([*arguments, "--part", "decoder", "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}  decoder of convae-200, within ")
    z = torch.randn(3, 8)
    torch.testing.assert_close(torch.export.load(out).module()(z), model.eval().decode(z))


def test_a_name_in_a_file_cannot_drive_the_terminal(run, waves_dataset, trained, tmp_path):  # noqa: ARG001 - registers
    path = trained()
    document, tensors = file_format.unpack(path.read_bytes(), "it")
    document["model"]["name"] = "\x1b]0;owned\x07\x1b[31m\x9bnet"
    path.write_bytes(b"".join(file_format.pack(document, tensors)))
    calls = [
        ("evaluate", path, "--dataset", "waves", "--no-baseline"),
        ("export", path, "--format", "torch-export", "--out", tmp_path / "m.pt2"),
    ]
    for call in calls:
        status, out, err = run(*call)
        assert status == 0
        assert "\\x1b]0;owned\\x07\\x1b[31m\\x9bnet" in out
        assert (out + err).replace("\n", "").isprintable()
    document["model"]["encoder"]["config"]["width"] = "\x1b[31m"
    path.write_bytes(b"".join(file_format.pack(document, tensors)))
    status, out, err = run("evaluate", path, "--dataset", "waves")
    assert (status, out) == (1, "")
    assert err.replace("\n", "").isprintable()


def test_what_cannot_be_exported_is_one_line(tmp_path, capsys):
    out = str(tmp_path / "m.onnx")
    assert main(["export", "convae-200.nothing", "--out", out]) == 2
    assert main(["export", str(tmp_path / "no.safetensors"), "--out", out]) == 1
    assert main(["export", "convae-200", "--format", "onx", "--out", out]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
    assert not (tmp_path / "m.onnx").exists()


def test_a_detector_becomes_an_onnx_model_of_scores_and_maps(tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    file, out = str(tmp_path / "d.safetensors"), str(tmp_path / "d.onnx")
    tiled().save(file)
    call = ["export", file, "--out", out]
    for wrong, told in (
        ([], "--size HxW"),
        (["--size", "40"], "--size takes HxW, such as 480x640, got '40'"),
        (["--size", "40x48", "--part", "encoder"], "a detector is exported whole, to ONNX"),
        (["--size", "40x48", "--format", "torch-export"], "a detector is exported whole"),
    ):
        assert main([*call, *wrong]) == 2
        assert told in capsys.readouterr().err
    assert main([*call, "--size", "40x48"]) == 0
    assert capsys.readouterr().out.startswith(f"{out}  detector with score reconstruction, within")
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == ["score", "map"]
    assert session.get_inputs()[0].shape[1:] == [3, 40, 48]


def test_a_size_is_for_detectors(tmp_path, capsys):
    zoo.save_model(
        zoo.create_model("convae-200", width=2, image_size=8), tmp_path / "m.safetensors"
    )
    out = str(tmp_path / "m.onnx")
    assert main(["export", str(tmp_path / "m.safetensors"), "--size", "8x8", "--out", out]) == 2
    assert "--size goes with a detector" in capsys.readouterr().err
