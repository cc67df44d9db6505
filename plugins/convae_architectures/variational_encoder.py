"""The variational encoder: a latent with a mean and a variance, and its KL term."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from convae_architectures.blocks import Down, init_linear_path

LOG_VARIANCE = (-20.0, 10.0)
"""Bounds of the log-variance: its exponential is finite and above zero in float32."""

ACTIVE = 0.01
"""Nats that a latent float must carry on average to count as active."""


class VariationalEncoder(nn.Module):
    """Images N×C×S×S to latents N×latent_dim: means in eval mode, samples in training mode.

    An image's latent is normal with its own mean and diagonal variance; the prior is the standard
    normal (https://arxiv.org/abs/1312.6114). `forward_with_terms` adds the term ``kl``:
    beta times the KL divergence of the latent from its prior, in nats, summed over the latent's
    floats, averaged over images and divided by C·S·S. Beside MSE, which is averaged over the same
    C·S·S values, the sum is the negative ELBO a value up to a factor, if the decoder's noise is
    Gaussian of variance beta/2.

    Initial weights: as in the residual encoder; the layer of the log-variance at zero, variances at
    exp(-2), so that the first steps see more of the image than of the noise.

    Args:
        in_channels: C.
        image_size: S, divisible by 4.
        width: channels at S/2; twice as many at S/4.
        depth: residual blocks at each of the two sizes.
        activation: name of the activation.
        norm: ``none`` or ``group``.
        latent_dim: floats of a latent.
        beta: weight of the KL term.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 32,
        depth: int = 1,
        activation: str = "silu",
        norm: str = "none",
        latent_dim: int = 200,
        beta: float = 0.02,
    ) -> None:
        super().__init__()
        self.beta, self.values, self.latent_dim = beta, in_channels * image_size**2, latent_dim
        features = 2 * width * (image_size // 4) ** 2
        self.trunk = Down(in_channels, width, depth, activation, norm)
        self.mean = nn.Linear(features, latent_dim)
        self.log_variance = nn.Linear(features, latent_dim)
        init_linear_path(self.mean)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -2.0)

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents' means and log-variances, both float32 N×latent_dim."""
        features = self.trunk(x).flatten(1)
        log_variance = self.log_variance(features).float().clamp(*LOG_VARIANCE)
        return self.mean(features).float(), log_variance

    def forward(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to latents N×latent_dim: means, or samples in training mode."""
        return self._draw(*self.distribution(x))

    def forward_with_terms(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the latents as `forward` does, and the KL term, a scalar."""
        mean, log_variance = self.distribution(x)
        nats = divergence(mean, log_variance).sum(1).mean()
        return self._draw(mean, log_variance), {"kl": nats * (self.beta / self.values)}

    def sample_latent(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Sample latents count×latent_dim from the prior, the standard normal."""
        device = self.mean.weight.device
        return torch.randn(count, self.latent_dim, generator=generator, device=device)

    def report(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Return the KL in nats per image and the fraction of active floats, over batches."""
        total, count = torch.zeros(self.latent_dim, dtype=torch.float64), 0
        for batch in batches:
            total += divergence(*self.distribution(batch)).sum(0).double().cpu()
            count += len(batch)
        nats = total / count
        return {
            "kl_nats": float(nats.sum()),
            "active_latents": float((nats > ACTIVE).double().mean()),
        }

    def _draw(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        if not self.training:
            return mean
        return mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of normals from the standard normal, in nats, element by element."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
