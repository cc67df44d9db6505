"""Export: the files agree with the model, run without the zoo, and nothing bad is left behind."""

import json
import subprocess
import sys
import textwrap

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.errors import UnknownNameError, UsageError, ZooError
from convae_zoo.export import PARTS, export, export_model, missing_onnx_packages, onnx

SHAPES = {"encoder": (3, 16, 16), "decoder": (24,), "all": (3, 16, 16)}

needs_onnx = pytest.mark.skipif(
    bool(missing_onnx_packages()), reason="the packages for ONNX are not installed"
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return zoo.create_model("convae-200", width=4, latent_dim=24, image_size=16)


def expected(model, part, x):
    model.eval()
    with torch.no_grad():
        return {"encoder": model.encode, "decoder": model.decode, "all": model}[part](x)


@needs_onnx
@pytest.mark.parametrize("part", PARTS)
def test_an_onnx_file_runs_in_a_process_without_torch_as_the_model_does(part, model, tmp_path):
    """Encoder, decoder and both, at batch sizes that the export did not see; within 1e-4."""
    path = tmp_path / f"{part}.onnx"
    assert export_model(model, path, part=part) <= 1e-4
    script = textwrap.dedent(
        """
        import sys
        sys.modules["torch"] = sys.modules["convae_zoo"] = None
        import numpy, onnxruntime
        path, x, y = sys.argv[1:]
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (given,), (made,) = session.get_inputs(), session.get_outputs()
        (output,) = session.run(None, {given.name: numpy.load(x)})
        numpy.save(y, output)
        print(given.name, made.name)
        """
    )
    for count in (1, 7):
        x = torch.randn(count, *SHAPES[part])
        import numpy as np

        np.save(tmp_path / "x.npy", x.numpy())
        done = subprocess.run(
            [sys.executable, "-c", script, path, tmp_path / "x.npy", tmp_path / "y.npy"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        output = torch.from_numpy(np.load(tmp_path / "y.npy"))
        torch.testing.assert_close(output, expected(model, part, x), rtol=0, atol=1e-4)
    names = {
        "encoder": "images latent",
        "decoder": "latent reconstruction",
        "all": "images reconstruction",
    }
    assert done.stdout.strip() == names[part]


@needs_onnx
def test_an_onnx_file_says_what_it_is(model, tmp_path):
    import onnx

    export_model(model, tmp_path / "m.onnx", part="decoder")
    loaded = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(loaded)
    said = {p.key: p.value for p in loaded.metadata_props}
    assert said["convae_zoo.model"] == "convae-200"
    assert said["convae_zoo.part"] == "decoder"
    assert json.loads(said["convae_zoo.value_range"]) == [-1.0, 1.0]
    assert json.loads(said["convae_zoo.image_shape"]) == [3, 16, 16]
    assert json.loads(said["convae_zoo.latent_shape"]) == [24]
    assert json.loads(said["convae_zoo.config"])["encoder"]["config"]["width"] == 4


@needs_onnx
@pytest.mark.parametrize(
    ("name", "kind"), [("unet-denoiser", "torch-export"), ("unet-denoiser-sigma", "onnx")]
)
def test_a_fully_convolutional_model_keeps_its_height_and_width_free(name, kind, tmp_path):
    small = {"width": 4, "middle_width": 4, "deep_width": 16, "depth": 1, "middle_depth": 1}
    denoiser = zoo.create_model(name, image_size=16, deep_depth=1, **small).eval()
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    path = tmp_path / "all"
    export_model(denoiser, path, format=kind)
    x = torch.randn(3, 3, 40, 24)
    if kind == "onnx":
        output = onnx.run_onnx(onnx.onnx_session(path), x)
    else:
        output = torch.export.load(path).module()(x)
    torch.testing.assert_close(output, denoiser(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("part", PARTS)
def test_a_torch_export_file_loads_back_equal_for_any_batch(part, model, tmp_path):
    path = tmp_path / f"{part}.pt2"
    assert export_model(model, path, format="torch-export", part=part) <= 1e-6
    loaded = torch.export.load(path).module()
    for count in (1, 7):
        x = torch.randn(count, *SHAPES[part])
        torch.testing.assert_close(loaded(x), expected(model, part, x), rtol=0, atol=1e-6)


def test_a_torch_export_file_holds_no_pickle(model, tmp_path):
    import zipfile

    export_model(model, tmp_path / "m.pt2", format="torch-export")
    with zipfile.ZipFile(tmp_path / "m.pt2") as archive:
        for name in archive.namelist():
            assert not archive.read(name).startswith((b"\x80\x02", b"\x80\x04", b"PK"))


def test_the_model_is_left_as_it_was(model, tmp_path):
    model.train()
    model.encoder.eval()
    modes = [module.training for module in model.modules()]
    export_model(model, tmp_path / "m.pt2", format="torch-export")
    assert [module.training for module in model.modules()] == modes


def test_a_file_that_differs_from_the_model_is_not_put_in_place(model, tmp_path, monkeypatch):
    path = tmp_path / "m.pt2"
    path.write_bytes(b"the one before")
    write = export._write_torch_export

    def shifted(*args):
        run = write(*args)
        return lambda x: run(x) + 1e-3

    monkeypatch.setattr(export, "_write_torch_export", shifted)
    with pytest.raises(
        ZooError, match=r"differs from the model by 0\.001 on a batch 1×3×16×16; nothing"
    ):
        export_model(model, path, format="torch-export")
    assert path.read_bytes() == b"the one before"
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt2"]


def test_a_model_that_branches_on_values_is_refused_in_one_line(tmp_path):
    class Branch(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    bad = zoo.create_model("convae-200", width=4, latent_dim=24, image_size=16)
    bad.encoder = torch.nn.Sequential(bad.encoder, Branch())
    with pytest.raises(ZooError, match=r"torch\.export refuses it: ") as caught:
        export_model(bad, tmp_path / "m.pt2", format="torch-export", part="encoder")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named_with_the_remedy(model, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "missing_onnx_packages", lambda: ["onnxscript"])
    with pytest.raises(UsageError, match=r"needs onnxscript: pip install 'convae-zoo\[export\]'"):
        export_model(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_unknown_format_and_part_are_refused(model, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown format 'onx'; did you mean 'onnx'"):
        export_model(model, tmp_path / "m", format="onx")
    with pytest.raises(UnknownNameError, match="unknown part 'encode'; did you mean 'encoder'"):
        export_model(model, tmp_path / "m", part="encode")


FULL_DISK = """
import resource, sys
import convae_zoo as zoo
from convae_zoo.cli import main
zoo.save_model(zoo.create_model("convae-200", width=4, latent_dim=8, image_size=8), "m.safetensors")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(["export", "m.safetensors", "--format", "torch-export", "--out", "m.pt2"]))
"""


def test_a_disk_that_fills_up_is_one_line_and_leaves_no_file(tmp_path):
    """Torch's own writer would end the process."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "error: cannot write m.pt2: File too large\n")
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
