"""An adversarial loss: a patch discriminator trained along with the model."""

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from convae_losses.pair import pair
from convae_zoo.errors import ContractError

SMALLEST = 4


class AdversarialLoss(nn.Module):
    """Mean of -log p(D(r)) over images and patches: small where the reconstruction looks real.

    D is a patch discriminator: it gives a logit for each patch of 18×18 pixels, 4 pixels apart,
    high where the patch looks like an original; p is the logistic function. D's own optimiser, Adam
    with betas 0.5 and 0.9, minimises the mean of::

        -log p(D(t)) - log(1 - p(D(r)))          t the originals, r their reconstructions

    The value is above 0 and depends on D, not on the distance between r and t: use it in a sum, as
    in ``"mse + 0.01*adversarial"``. D's layers are Conv 4×4 stride 2, twice, and Conv 3×3, with
    leaky ReLUs between them.

    Sources: Goodfellow et al., "Generative adversarial nets", 2014 (the non-saturating form);
    Isola et al., "Image-to-image translation with conditional adversarial networks", 2017 (the
    patches).

    Args:
        value_range: the (low, high) of the model's pixel values; D sees it as [-1, 1].
        in_channels: channels of the images.
        width: channels of D's first layer, half those of its second.
        learning_rate: of D's optimiser.
    """

    def __init__(
        self,
        value_range: tuple[float, float] = (-1.0, 1.0),
        in_channels: int = 3,
        width: int = 32,
        learning_rate: float = 2e-4,
    ) -> None:
        super().__init__()
        self.value_range = value_range
        self.in_channels = in_channels
        self.learning_rate = learning_rate
        self.discriminator = nn.Sequential(
            nn.Conv2d(in_channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar, which is what the model minimises.

        Raises:
            ContractError: images of other channels, or with a side of less than four pixels.
        """
        fake, _ = self._seen(reconstruction, target)
        return functional.softplus(-self._judge(fake)).mean()

    def own_loss(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar, which is what the discriminator minimises."""
        fake, real = self._seen(reconstruction, target)
        on_real, on_fake = self._judge(torch.cat([real, fake])).chunk(2)
        return functional.softplus(-on_real).mean() + functional.softplus(on_fake).mean()

    def own_optimizer(self) -> optim.Optimizer:
        """Make the discriminator's optimiser."""
        parameters = self.discriminator.parameters()
        return optim.Adam(parameters, lr=self.learning_rate, betas=(0.5, 0.9))

    def _seen(self, reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        fake, real = pair(reconstruction, target)
        channels, *sides = fake.shape[1:]
        if channels != self.in_channels or min(sides) < SMALLEST:
            raise ContractError(
                f"loss 'adversarial' judges images of {self.in_channels} channels and at least "
                f"{SMALLEST}×{SMALLEST} pixels, got {channels}×{sides[0]}×{sides[1]}"
            )
        low, high = self.value_range
        scale = 2 / (high - low)
        return (fake - low) * scale - 1, (real - low) * scale - 1

    def _judge(self, images: Tensor) -> Tensor:
        # Both losses depend on small differences of the logits.
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.discriminator(images)
        return logits

    def extra_repr(self) -> str:
        """Show the range and the learning rate."""
        return f"value_range={self.value_range}, learning_rate={self.learning_rate}"
