"""A decoder that gives another shape than its config declares."""

from torch import nn


class Doubling(nn.Module):
    def __init__(self, latent_dim=16, image_size=16):
        super().__init__()
        side = image_size // 4
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 3 * side**2),
            nn.Unflatten(1, (3, side, side)),
            nn.Upsample(scale_factor=4),
        )

    def forward(self, z):
        return self.net(z)
