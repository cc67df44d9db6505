"""What several test files share."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models


@pytest.fixture
def images() -> torch.Tensor:
    """Two uint8 images of 64×64."""
    return torch.randint(
        0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.fixture
def trained(tmp_path) -> tuple[torch.nn.Module, Path]:
    """Torchvision's EfficientNet-B0 with weights of its own, and a file that holds them."""
    torch.manual_seed(3)
    network = models.efficientnet_b0(weights=None).eval()
    file = tmp_path / "efficientnet_b0.safetensors"
    save_file(network.state_dict(), file)
    return network, file
