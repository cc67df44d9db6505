"""The encoder."""

from torch import nn


class PlainEncoder(nn.Module):
    def __init__(self, latent_dim=200, image_size=32):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, stride=8)
        self.linear = nn.Linear(8 * (image_size // 8) ** 2, latent_dim)

    def forward(self, x):
        return self.linear(self.conv(x).relu().flatten(1))
