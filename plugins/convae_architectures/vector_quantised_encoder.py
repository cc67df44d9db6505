"""The vector-quantised encoder: every position of its latent is a code from a codebook."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from convae_architectures.blocks import Down, init_linear_path
from convae_architectures.codebook import Codebook


class VectorQuantisedEncoder(nn.Module):
    """Images N×C×S×S to latents N×latent_channels×S/4×S/4 whose every position is a code.

    The gradient of the latent goes straight through to the features before it
    (https://arxiv.org/abs/1711.00937). `forward_with_terms` adds the term ``commitment``: its
    weight times the mean squared distance of the features from their codes; in training mode it
    also moves the codes, which `forward` never does.

    A latent counts as floats like any other, but (S/4)² numbers of codes hold all of it, which
    `to_codes` and `from_codes` convert: log2(codes) bits each, which `bits` adds up.

    Initial weights: as in the residual encoder; the first training batch initialises the codes.

    Args:
        in_channels: C.
        image_size: S, divisible by 4.
        width: channels at S/2; twice as many at S/4.
        depth: residual blocks at each of the two sizes.
        activation: name of the activation.
        norm: ``none`` or ``group``.
        latent_channels: floats of a code.
        codes: vectors in the codebook.
        commitment: weight of the commitment term.
        decay: of the codes, which are moving averages.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 32,
        depth: int = 1,
        activation: str = "silu",
        norm: str = "none",
        latent_channels: int = 16,
        codes: int = 512,
        commitment: float = 0.25,
        decay: float = 0.99,
    ) -> None:
        super().__init__()
        self.commitment = commitment
        self.bits = (image_size // 4) ** 2 * math.log2(codes)
        self.trunk = Down(in_channels, width, depth, activation, norm)
        self.head = nn.Conv2d(2 * width, latent_channels, 1)
        self.codebook = Codebook(codes, latent_channels, decay)
        init_linear_path(self.head)

    @property
    def code_count(self) -> int:
        """How many codes there are; codes are numbered from 0."""
        return len(self.codebook.vectors)

    def encode_indices(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to the numbers of their codes, int64 N×S/4×S/4."""
        return self._nearest(self._features(x))

    def to_codes(self, latent: Tensor) -> Tensor:
        """Map latents N×latent_channels×S/4×S/4 to the numbers of their codes, int64 N×S/4×S/4."""
        return self._nearest(latent.permute(0, 2, 3, 1))

    def from_codes(self, codes: Tensor) -> Tensor:
        """Map the numbers of codes, int64 N×S/4×S/4, to latents N×latent_channels×S/4×S/4."""
        return self.codebook.look_up(codes).permute(0, 3, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to latents N×latent_channels×S/4×S/4."""
        return self._quantise(self._features(x))[0]

    def forward_with_terms(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the latents, and the commitment term, a scalar."""
        features = self._features(x)
        latent, codes, indices = self._quantise(features)
        distance = functional.mse_loss(features, codes)
        if self.training:
            self.codebook.follow(features.detach().flatten(0, 2), indices)
        return latent, {"commitment": self.commitment * distance}

    def report(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Return over batches of images how the codebook is used.

        ``codebook_usage`` is the share of codes that are chosen at all, ``codebook_perplexity``
        the number of equally frequent codes with the same entropy, ``latent_bits`` the bits that
        hold the indices of one image.
        """
        codes = self.code_count
        counts = torch.zeros(codes, dtype=torch.int64)
        for batch in batches:
            counts += torch.bincount(self.encode_indices(batch).flatten().cpu(), minlength=codes)
        share = counts.double() / counts.sum()
        return {
            "codebook_usage": float((counts > 0).double().mean()),
            "codebook_perplexity": float(torch.special.entr(share).sum().exp()),
            "latent_bits": self.bits,
        }

    def _features(self, x: Tensor) -> Tensor:
        """Map images N×C×S×S to the vectors to quantise, float32 N×S/4×S/4×latent_channels."""
        features: Tensor = self.head(self.trunk(x)).float().permute(0, 2, 3, 1)
        return features

    def _nearest(self, features: Tensor) -> Tensor:
        """Map vectors N×S/4×S/4×latent_channels to the numbers of their nearest codes."""
        return self.codebook.nearest(features.flatten(0, 2)).view(features.shape[:-1])

    def _quantise(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the latent with the gradient of the features, the bare codes and their indices."""
        indices = self._nearest(features).flatten()
        codes = self.codebook.look_up(indices).view_as(features)
        passed = features + (codes - features).detach()
        return passed.permute(0, 3, 1, 2), codes, indices
