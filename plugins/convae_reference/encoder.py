"""The article's encoder: six convolutions, two of them of stride 2, and a linear bottleneck."""

from functools import partial

from torch import Tensor, nn

from convae_zoo.layers import make_activation, xavier_uniform_


class ConvaeEncoder(nn.Module):
    """Images N×C×S×S to latents N×latent_dim; every layer has an activation, the last one too.

    Initial weights: Xavier-uniform, biases 0.01.

    Args:
        in_channels: C.
        width: channels after the first convolution.
        latent_dim: floats of a latent.
        activation: name of the activation.
        image_size: S, divisible by 4.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 16,
        latent_dim: int = 200,
        activation: str = "relu",
        image_size: int = 32,
    ) -> None:
        super().__init__()
        act = make_activation(activation)
        w = width
        self.net = nn.Sequential(
            nn.Conv2d(in_channels, w, 3, padding=1),
            act,
            nn.Conv2d(w, w, 3, padding=1),
            act,
            nn.Conv2d(w, 2 * w, 3, padding=1, stride=2),
            act,
            nn.Conv2d(2 * w, 2 * w, 3, padding=1),
            act,
            nn.Conv2d(2 * w, 4 * w, 3, padding=1, stride=2),
            act,
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
            act,
            nn.Flatten(),
            nn.Linear(4 * w * (image_size // 4) ** 2, latent_dim),
            act,
        )
        self.apply(partial(xavier_uniform_, bias=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to latents N×latent_dim."""
        latent: Tensor = self.net(x)
        return latent
