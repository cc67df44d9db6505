from torch import nn


class TinyConv(nn.Sequential):
    def __init__(self, in_channels=3, latent_dim=64, image_size=32):
        super().__init__(
            nn.Conv2d(in_channels, 16, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(16 * (image_size // 2) ** 2, latent_dim),
        )
