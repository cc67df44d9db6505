"""Whatever PyTorch's modes and defaults, and whatever the model: a result, or one line."""

import contextlib

import numpy as np
import pytest
import torch

import convae_zoo as zoo
from convae_zoo.data.listing import find_images
from convae_zoo.errors import DeviceError, UsageError, ZooError
from convae_zoo.export import export_model
from convae_zoo.tasks.batches import reconstruct_batches
from convae_zoo.tasks.compress import decode_file, encode_files
from latent_files import write_images
from tiny_runs import TINY, image_set

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
TRAIN, VAL = image_set(), image_set(30, "val", 1)


def build():
    torch.manual_seed(0)
    return zoo.create_model("convae-200", **TINY).eval()


USES = {
    "preprocess": lambda model: model.preprocess(PICTURES),
    "forward": lambda model: model(model.preprocess(PICTURES)),
    "Inference": lambda model: zoo.Inference(model, "fp32")(model.preprocess(PICTURES)),
    "evaluate": lambda model: mse_beside_pca(zoo.evaluate(model, VAL, train=TRAIN, device="cpu")),
}


def mse_beside_pca(found):
    return torch.tensor([found.model.mse, found.pca.mse], device="cpu", dtype=torch.float64)


@pytest.fixture(scope="module")
def expected():
    return {name: use(build()) for name, use in USES.items()}


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "mode",
    [
        lambda: default_dtype(torch.float64),
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.device("meta"),
    ],
    ids=["default dtype float64", "no_grad", "inference_mode", "default device meta"],
)
def test_results_do_not_depend_on_the_callers_modes_and_defaults(use, mode, expected):
    model = build()
    with mode():
        got = USES[use](model)
    assert got.dtype == expected[use].dtype
    # The layout of an Inference is chosen by timing, and rounds in its own way.
    tolerance = 1e-6 if use == "Inference" else 0
    torch.testing.assert_close(got, expected[use], rtol=0, atol=tolerance)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        (lambda model: model.double(), 1e-5),
        (lambda model: model.half(), 0.01),
        (lambda model: model.bfloat16(), 0.05),
        (lambda model: model.requires_grad_(requires_grad=False), 0),
    ],
    ids=["double", "half", "bfloat16", "frozen"],
)
def test_a_model_of_another_dtype_or_a_frozen_one_works(use, change, tolerance, expected):
    got = USES[use](change(build())).to(expected[use].dtype)
    tolerance = max(tolerance, 1e-6 if use == "Inference" else 0)  # as above
    torch.testing.assert_close(got, expected[use], rtol=0, atol=tolerance)


def test_a_model_built_under_another_default_dtype_has_it_and_works(expected):
    with default_dtype(torch.float64):
        model = build()
        assert model.dtype == torch.float64
        assert USES["forward"](model).dtype == torch.float64
        evaluated = USES["evaluate"](model)
    assert torch.equal(evaluated, USES["evaluate"](model))
    assert evaluated.isfinite().all()
    assert USES["Inference"](model).dtype == expected["Inference"].dtype


@pytest.mark.parametrize("use", [zoo.Inference, lambda model: zoo.evaluate(model, VAL)])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "model must be an Autoencoder, .* got None"),
        (lambda: 5, "model must be an Autoencoder, .* got 5"),
        (lambda: "convae-200.photos", "model must be an Autoencoder, .* got 'convae-200.photos'"),
        (lambda: build().to("meta"), "model 'convae-200' is on the meta device"),
    ],
)
def test_objects_that_cannot_reconstruct_are_refused_in_one_line(use, make, message):
    with pytest.raises(UsageError, match=message) as caught:
        use(make())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 5, 1.5, b"x", "a\0b", "\ud800.safetensors"])
def test_values_that_are_neither_name_nor_path_are_refused_in_one_line(value):
    model = build()
    for call in (
        lambda: zoo.load_model(value),
        lambda: zoo.save_model(model, value),
        lambda: zoo.create_model(value),
        lambda: zoo.model_info(value),
        lambda: zoo.evaluate(model, value),
        lambda: zoo.load_dataset("image-folder", data=value),
        lambda: zoo.train("convae-200", dataset=(TRAIN, VAL), overrides=TINY, out=value or 5),
        lambda: model.preprocess(value),
    ):
        with pytest.raises(ZooError) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert "\0" not in str(caught.value)


def greedy():
    """Build a model whose decoder asks for more memory than can be addressed."""

    def take(*_):
        torch.empty(2**60)

    model = build()
    model.decoder.register_forward_pre_hook(take)
    return model


def encode_and_decode(model, folder):
    plain, images, file = build(), folder / "images", folder / "z"
    write_images(images, 2)
    encode_files(plain, find_images([images]), file, weights="0")
    return decode_file(model, file, folder / "decoded", weights="0")


@pytest.mark.parametrize(
    "use",
    [
        lambda model, _: zoo.train(model, dataset=(TRAIN, VAL), epochs=1, precision="fp32"),
        lambda model, _: zoo.evaluate(model, VAL, baseline=False),
        lambda model, _: reconstruct_batches(model, VAL.images),
        lambda model, _: zoo.Inference(model, "fp32")(model.preprocess(PICTURES)),
        lambda model, folder: export_model(model, folder / "m.pt2", format="torch-export"),
        encode_and_decode,
    ],
    ids=["train", "evaluate", "reconstruct", "Inference", "export", "decode"],
)
def test_running_out_of_memory_is_one_line_wherever_a_model_runs(use, tmp_path):
    with pytest.raises(DeviceError, match=r"^\w+ convae-200.* ran out of memory; ") as caught:
        use(greedy(), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_sample_larger_than_memory_is_one_line():
    model = zoo.create_model("variational-200", **TINY).eval()
    with pytest.raises(DeviceError, match=r"^sampling 1,000,000,000,000,000 images .*; sample few"):
        model.sample(10**15)
