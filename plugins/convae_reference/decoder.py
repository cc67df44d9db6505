"""The article's decoder: a linear layer and six transposed convolutions, two of stride 2."""

from torch import Tensor, nn

from convae_zoo.layers import make_activation, xavier_uniform_


class ConvaeDecoder(nn.Module):
    """Latents N×latent_dim to images N×C×S×S; no activation on the last layer.

    Initial weights: of the linear layer Xavier-uniform, biases 0.01; of the transposed convolutions
    PyTorch's own.

    Args:
        in_channels: C.
        width: channels before the last convolution.
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
        w, side = width, image_size // 4
        self.linear = nn.Sequential(nn.Linear(latent_dim, 4 * w * side**2), act)
        self.unflatten = nn.Unflatten(1, (4 * w, side, side))
        self.conv = nn.Sequential(
            nn.ConvTranspose2d(4 * w, 4 * w, 3, padding=1),
            act,
            nn.ConvTranspose2d(4 * w, 2 * w, 3, padding=1, stride=2, output_padding=1),
            act,
            nn.ConvTranspose2d(2 * w, 2 * w, 3, padding=1),
            act,
            nn.ConvTranspose2d(2 * w, w, 3, padding=1, stride=2, output_padding=1),
            act,
            nn.ConvTranspose2d(w, w, 3, padding=1),
            act,
            nn.ConvTranspose2d(w, in_channels, 3, padding=1),
        )
        xavier_uniform_(self.linear[0], bias=0.01)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N×latent_dim to images N×C×S×S."""
        images: Tensor = self.conv(self.unflatten(self.linear(z)))
        return images
