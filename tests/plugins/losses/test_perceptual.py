"""Perceptual losses, with networks of random weights: formulas, and where weights come from."""

import pytest
import torch
from convae_losses.features import cached
from safetensors.torch import save_file
from torch.nn import functional
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity
from torchvision.models import alexnet

from convae_zoo.errors import ContractError, WeightsError
from convae_zoo.models.losses import create_loss, create_training_loss

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512)


def vgg():
    generator = torch.Generator().manual_seed(0)
    state = {}
    for index, before, after in zip(CONVOLUTIONS, CHANNELS[:-1], CHANNELS[1:], strict=True):
        spread = (2 / (9 * before)) ** 0.5
        weight = spread * torch.randn(after, before, 3, 3, generator=generator)
        state[f"features.{index}.weight"] = weight
        state[f"features.{index}.bias"] = 0.1 * torch.randn(after, generator=generator)
    return state


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file(vgg(), path)
    return str(path)


@pytest.fixture(scope="module")
def alex_state():
    torch.manual_seed(0)
    state = alexnet(weights=None).state_dict()
    return {k: v.clone() for k, v in state.items() if k.startswith("features.")}


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)


def images(seed, channels=3, size=16):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(2, channels, size, size, generator=generator) - 1


def plain_perceptual(x, y):
    """In float64, layer by layer."""
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(3, 1, 1)
    state = {k: v.double() for k, v in vgg().items()}
    x, y = (((v.double() + 1) / 2 - mean) / std for v in (x, y))
    found = []
    for index in CONVOLUTIONS:
        w, b = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        if index in {5, 10, 17}:
            x, y = functional.max_pool2d(x, 2), functional.max_pool2d(y, 2)
        x, y = (functional.conv2d(v, w, b, padding=1).clamp(min=0) for v in (x, y))
        if index in {2, 7, 14, 21}:
            found.append((x - y).square().mean())
    return sum(found).item() / 4


def test_perceptual_equals_its_plain_formula(vgg_file):
    loss, x, y = create_loss("perceptual", weights=vgg_file), images(0), images(1)
    assert loss(x, y).item() == pytest.approx(plain_perceptual(x, y), rel=1e-4)
    assert loss(x, y).item() == pytest.approx(loss(y, x).item(), rel=1e-5)
    assert loss(x, x).item() == 0


def test_perceptual_gives_gradients_to_the_reconstruction_alone(vgg_file):
    loss = create_loss("perceptual", weights=vgg_file)
    for start in (images(0), images(1)):
        x = start.clone().requires_grad_()
        loss(x, images(1)).backward()
        assert x.grad.isfinite().all()
    assert not any(p.requires_grad for p in loss.parameters())


def test_grey_images_are_seen_as_rgb_and_others_are_refused(vgg_file):
    loss, grey = create_loss("perceptual", weights=vgg_file), images(0, channels=1)
    other = images(1, channels=1)
    rgb = loss(grey.expand(-1, 3, -1, -1), other.expand(-1, 3, -1, -1))
    torch.testing.assert_close(loss(grey, other), rgb)
    for shape in ((1, 2, 16, 16), (1, 3, 7, 16)):
        with pytest.raises(ContractError, match="of 1 or 3 channels and at least 8×8 pixels"):
            loss(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.usefixtures("torch_home")
def test_weights_are_taken_from_torchvisions_cache_in_training(vgg_file):
    torch.save(vgg(), cached("vgg"))
    loss = create_training_loss("mse + 0.5*perceptual", (-1.0, 1.0))
    expected = create_loss("perceptual", weights=vgg_file)(images(0), images(1))
    assert torch.equal(loss.losses[1](images(0), images(1)), expected)


@pytest.mark.usefixtures("torch_home")
@pytest.mark.parametrize("name", ["perceptual", "lpips"])
def test_weights_that_are_not_there_are_one_line_and_nothing_is_downloaded(name, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **_: asked.append(a))
    with pytest.raises(WeightsError) as caught:
        create_loss(f"mse + 0.1*{name}")
    line = str(caught.value)
    assert f"the weights of VGG-16 for loss '{name}' are not there" in line
    assert f"put torchvision's vgg16-397923af.pth into {cached('vgg').parent}" in line
    assert "give a .safetensors file as the loss's field weights" in line
    assert "\n" not in line
    assert asked == []


def test_a_given_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.safetensors is no file"):
        create_loss("perceptual", weights=str(tmp_path / "none.safetensors"))


@pytest.mark.parametrize("kind", ["pickle", "cut", "other", "shape"])
def test_a_given_file_of_another_kind_is_refused_in_one_line(tmp_path, kind, alex_state):
    path = tmp_path / "weights.safetensors"
    if kind == "pickle":
        torch.save(alex_state, path)
    elif kind == "other":
        save_file({"encoder.weight": torch.zeros(1)}, path)
    else:
        save_file({**vgg(), "features.21.weight": torch.zeros(1)}, path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="the weights of VGG-16 for loss 'perceptual'") as caught:
        create_loss("perceptual", weights=str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("torch_home")
def test_a_damaged_file_in_torchvisions_cache_is_refused_in_one_line():
    cached("vgg").write_bytes(b"not what it should be")
    with pytest.raises(WeightsError, match=r"cannot be read from .*vgg16-397923af") as caught:
        create_loss("perceptual")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("torch_home")
def test_lpips_is_the_metric_of_torchmetrics(tmp_path, alex_state):
    """Which reads the same backbone from torchvision's cache, the classifier too."""
    path = tmp_path / "alex.safetensors"
    save_file(alex_state, path)
    torch.manual_seed(0)
    torch.save({**alexnet(weights=None).state_dict(), **alex_state}, cached("alex"))
    x, y = images(0, size=32), images(1, size=32)
    theirs = LearnedPerceptualImagePatchSimilarity(net_type="alex")(x, y)
    for weights in (str(path), None):
        loss = create_loss("lpips", network="alex", weights=weights)
        torch.testing.assert_close(loss(x, y), theirs)
        assert loss(x, x).item() == 0
        assert not any(p.requires_grad for p in loss.parameters())


def test_lpips_leaves_the_random_numbers_and_its_mode_alone(tmp_path, alex_state):
    path = tmp_path / "alex.safetensors"
    save_file(alex_state, path)
    torch.manual_seed(5)
    loss = create_loss("lpips", network="alex", weights=str(path)).train()
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    x = images(0, size=32).requires_grad_()
    first, second = loss(x, images(1, size=32)), loss(x, images(1, size=32))
    assert torch.equal(first, second)
    first.backward()
    assert x.grad.isfinite().all()
    assert x.grad.any()
    with pytest.raises(ContractError, match="at least 32×32 pixels, got 3×16×16"):
        loss(images(0), images(1))
