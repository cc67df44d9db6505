import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo


@pytest.fixture
def variational(tmp_path):
    """Weights of a small model whose encoder has a prior."""
    settings = {"image_size": 16, "width": 8, "latent_dim": 6}
    torch.manual_seed(0)
    zoo.save_model(zoo.create_model("variational-200", **settings), tmp_path / "drawn.safetensors")
    return tmp_path / "drawn.safetensors"


def test_the_picture_holds_the_models_samples(run, variational, tmp_path):
    path = tmp_path / "new" / "samples.png"
    status, out, err = run("sample", variational, "--count", "3", "--seed", "7", "--out", path)
    assert (status, out, err) == (0, f"picture  {path}\n", "")
    model = zoo.load_model(variational)
    images = model.postprocess(model.sample(3, generator=torch.Generator().manual_seed(7)))
    with Image.open(path) as image:
        picture = np.asarray(image.convert("RGB"))
    for each in images:
        big = each.repeat_interleave(8, 1).repeat_interleave(8, 2).permute(1, 2, 0).numpy()
        starts = np.argwhere((picture == big[0, 0]).all(-1))
        assert any(np.array_equal(picture[y : y + 128, x : x + 128], big) for y, x in starts)


def test_another_seed_yields_other_images(run, variational, tmp_path):
    for name, seed in (("a", "0"), ("again", "0"), ("b", "1")):
        assert run("sample", variational, "--seed", seed, "--out", tmp_path / f"{name}.png")[0] == 0
    first, again, other = ((tmp_path / f"{n}.png").read_bytes() for n in ("a", "again", "b"))
    assert first == again
    assert first != other


def test_a_model_without_a_prior_is_reported(run, trained, tmp_path):
    path = tmp_path / "samples.png"
    status, out, err = run("sample", trained(), "--out", path)
    assert (status, out) == (2, "")
    assert "cannot sample images: its encoder 'convae' has no prior; use a variational model" in err
    assert not path.exists()
