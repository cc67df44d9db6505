"""What the plugin registers; no torch here."""

from convae_scores.configs import (
    CombinedConfig,
    DensityConfig,
    NeighboursConfig,
    ReconstructionConfig,
    SSIMConfig,
)
from convae_zoo import Registrar, ScoreSpec, hookimpl

SCORES = (
    ScoreSpec(
        name="reconstruction",
        factory="convae_scores.reconstruction:ReconstructionScore",
        config=ReconstructionConfig,
        summary="squared error of the reconstruction",
        gives_map=True,
    ),
    ScoreSpec(
        name="ssim",
        factory="convae_scores.ssim:SSIMScore",
        config=SSIMConfig,
        summary="structural dissimilarity of the reconstruction",
        gives_map=True,
    ),
    ScoreSpec(
        name="mahalanobis",
        factory="convae_scores.mahalanobis:MahalanobisScore",
        summary="Mahalanobis distance of the latent, with a shrunk covariance",
        needs_fit=True,
    ),
    ScoreSpec(
        name="neighbours",
        factory="convae_scores.neighbours:NeighboursScore",
        config=NeighboursConfig,
        summary="distance of the latent to the nearest latents of normal images",
        needs_fit=True,
    ),
    ScoreSpec(
        name="density",
        factory="convae_scores.density:DensityScore",
        config=DensityConfig,
        summary="negative log-density of the latent under a Gaussian mixture",
        needs_fit=True,
    ),
    ScoreSpec(
        name="combined",
        factory="convae_scores.combined:CombinedScore",
        config=CombinedConfig,
        summary="squared error and a score of the latent, each standardised, summed",
        needs_fit=True,
        gives_map=True,
    ),
)


@hookimpl
def register_scores(register: Registrar[ScoreSpec]) -> None:
    """Register the scores."""
    for spec in SCORES:
        register(spec)
