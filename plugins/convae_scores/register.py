"""What the plugin registers; no torch here."""

from convae_scores.configs import (
    BoundedConfig,
    CombinedConfig,
    DensityConfig,
    NearestImageConfig,
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
        name="bounded",
        factory="convae_scores.bounded:BoundedScore",
        config=BoundedConfig,
        summary="squared error of the reconstruction from a latent bounded to the normal range",
        needs_fit=True,
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
        name="nearest-image",
        factory="convae_scores.nearest_image:NearestImageScore",
        config=NearestImageConfig,
        summary="difference from the nearest normal images, blurred",
        needs_fit=True,
        gives_map=True,
    ),
    ScoreSpec(
        name="combined",
        factory="convae_scores.combined:CombinedScore",
        config=CombinedConfig,
        summary="bounded and nearest-image, or two other scores, standardised and summed",
        needs_fit=True,
        gives_map=True,
    ),
)


@hookimpl
def register_scores(register: Registrar[ScoreSpec]) -> None:
    """Register the scores."""
    for spec in SCORES:
        register(spec)
