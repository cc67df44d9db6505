"""The convolutional part is torchvision's own."""

import pytest
import torch
from convae_backbones.backbone import make_backbone
from torch import nn
from torchvision import models

from convae_zoo import create_model


def before_the_head(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What torchvision's classifier gives to its pooling."""
    seen = []
    network.avgpool.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        network(x)
    return seen[0]


def test_encode_of_a_224_image_is_torchvisions_vgg16_features_flattened():
    torch.manual_seed(0)
    network = models.vgg16(weights=None).features.eval()
    photograph = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    with torch.no_grad():
        expected = network((photograph / 255 - mean) / std).flatten(1)
        model = create_model("vgg16-25088").eval()
        model.encoder.features.load_state_dict(network.state_dict())
        latent = model.encode(model.preprocess(photograph))
    assert latent.shape == (1, 25088)
    assert expected.std() > 0.1  # of a size at which 1e-5 says something
    torch.testing.assert_close(latent, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "convnext_tiny", "efficientnet_b0"])
def test_a_backbone_is_all_of_the_classifier_before_its_pooling(name):
    torch.manual_seed(0)
    network = models.get_model(name, weights=None).eval()
    names = network.state_dict()
    features = make_backbone(name).eval()
    prefix = "features." if name != "resnet18" else ""
    features.load_state_dict({k: names[prefix + k] for k in features.state_dict()})
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(features(x), before_the_head(network, x))


def test_fresh_vgg16_weights_are_distributed_as_torchvisions():
    torch.manual_seed(0)
    convolutions = [m for m in make_backbone("vgg16") if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    for layer in convolutions[1:]:
        assert float(layer.weight.detach().std()) == pytest.approx(
            (2 / (layer.out_channels * 9)) ** 0.5, rel=0.02
        )
        assert not layer.bias.detach().any()
