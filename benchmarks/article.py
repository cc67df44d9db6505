"""The article's training loop in plain PyTorch."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from convae_reference.decoder import ConvaeDecoder
from convae_reference.encoder import ConvaeEncoder
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset[Tensor]):
    """PIL images, converted to tensors one by one as in torchvision's datasets."""

    def __init__(self, images: Tensor) -> None:
        self.pictures = [Image.fromarray(i.permute(1, 2, 0).numpy()) for i in images]
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        tensor: Tensor = self.transform(self.pictures[index])
        return tensor


def network(latent_dim: int = 200) -> nn.Module:
    """Build the article's network from PyTorch's own layers."""
    return nn.Sequential(ConvaeEncoder(latent_dim=latent_dim), ConvaeDecoder(latent_dim=latent_dim))


def train(
    model: nn.Module,
    images: Tensor,
    *,
    epochs: int,
    batch_size: int,
    device: torch.device,
    losses: list[float] | None = None,
) -> Iterator[float]:
    """Train; yield the seconds of each epoch, and add the loss of each step to `losses`."""
    losses = [] if losses is None else losses
    loader: Any = DataLoader(Pictures(images), batch_size=batch_size, shuffle=False)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        started = time.perf_counter()
        for batch in loader:
            x = batch.to(device)
            optimizer.zero_grad()
            loss = functional.mse_loss(model(x), x)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        yield time.perf_counter() - started
