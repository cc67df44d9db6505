"""Properties of anomaly scores, fitted to smooth grey images and an untrained autoencoder."""

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from convae_zoo.errors import DataError, UsageError, WeightsError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.create import build_plan
from convae_zoo.models.plan import plan_compose
from convae_zoo.registry.factories import build, make_config
from convae_zoo.registry.specs import ScoreSpec, shape_text
from convae_zoo.testing.entry import Entry
from convae_zoo.testing.result import ConformanceFailure, Skip
from convae_zoo.testing.tolerances import SAME, difference

SIZE = 32
NORMAL = 48
"""How many normal images a score is fitted to."""

BATCH = 16
VARIED = 6

Output = tuple[Tensor, Tensor | None]


def values(entry: Entry) -> None:
    """It gives one finite number per image, and not the same to images that differ."""
    scores, _ = _call(_fitted(entry), _varied())
    if not isinstance(scores, Tensor) or tuple(scores.shape) != (VARIED,):
        shown = f"shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else repr(scores)
        raise ConformanceFailure(f"{VARIED} images give scores of {shown:.60}, not one per image")
    if scores.dtype != torch.float32:
        raise ConformanceFailure(f"its scores are {scores.dtype}; they must be float32")
    if not scores.isfinite().all():
        raise ConformanceFailure("its scores hold NaN or infinity")
    if not float(scores.max() - scores.min()) > 0:
        raise ConformanceFailure(f"{VARIED} images that differ all have the score {scores[0]:g}")


def maps(entry: Entry) -> None:
    """Where its spec says gives_map, it returns a finite map N×H×W, else None."""
    _, found = _call(_fitted(entry), _varied())
    if not _spec(entry).gives_map:
        if found is not None:
            raise ConformanceFailure("it returns a map but its spec does not say gives_map")
        return
    if not isinstance(found, Tensor) or tuple(found.shape) != (VARIED, SIZE, SIZE):
        shown = shape_text(found.shape) if isinstance(found, Tensor) else repr(found)
        expected = shape_text((VARIED, SIZE, SIZE))
        raise ConformanceFailure(f"its map is {shown:.60}; it must be {expected}")
    if found.dtype != torch.float32 or not found.isfinite().all():
        raise ConformanceFailure(f"its map must be finite float32, got {found.dtype}")


def batch(entry: Entry) -> None:
    """An image's score does not depend on the others of its batch."""
    score, images = _fitted(entry), _varied()
    together, _ = _call(score, images)
    alone = torch.cat([_call(score, one[None])[0] for one in images])
    if not (far := difference(together, alone)) <= SAME:
        raise ConformanceFailure(
            f"a batch and its images one by one differ by {far:.1g}, more than {SAME:g}"
        )


def state(entry: Entry) -> None:
    """A safetensors file carries what was fitted to another score, bit for bit."""
    score, other = _fitted(entry), _built(entry)
    with tempfile.TemporaryDirectory(prefix="convae-zoo-") as folder:
        file = Path(folder) / "score.safetensors"
        tensors: Mapping[str, Tensor] = score.state_dict()
        save_file({name: value.contiguous() for name, value in tensors.items()}, file)
        other.load_state_dict(load_file(file))
    expected, restored = _call(score, _varied()), _call(other, _varied())
    for what, before, after in zip(
        ("other scores", "another map"), expected, restored, strict=True
    ):
        if (before is None) != (after is None) or (
            before is not None and after is not None and not torch.equal(before, after)
        ):
            raise ConformanceFailure(f"restored from its state dict it gives {what}")


def refit(entry: Entry) -> None:
    """A second fit replaces what the first learned."""
    if not _spec(entry).needs_fit:
        raise Skip("it is not fitted")
    once, twice = _fitted(entry), _built(entry)
    _fit(twice, 255 - _normal(seed=5))
    _fit(twice, _normal())
    if not torch.equal(_call(once, _varied())[0], _call(twice, _varied())[0]):
        raise ConformanceFailure("a second fit does not replace what the first learned")


def sign(entry: Entry) -> None:
    """Higher is more anomalous: white noise scores above smooth grey images."""
    score = _fitted(entry)
    noise = torch.randint(0, 2, (8, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(4))
    normal, _ = _call(score, _normal(8, seed=3))
    anomalous, _ = _call(score, (noise * 255).to(torch.uint8))
    if not anomalous.mean() > normal.mean():
        raise ConformanceFailure(
            f"noise scores {anomalous.mean():.4g} on average, the images that it was fitted to "
            f"{normal.mean():.4g}; higher must be more anomalous"
        )


def _spec(entry: Entry) -> ScoreSpec:
    return cast("ScoreSpec", entry.spec)


def _built(entry: Entry) -> Any:
    """Build the score; skip where it needs what is not installed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            return build(entry.built, make_config(entry.built, {}))
        except (DataError, WeightsError, UsageError) as error:
            raise Skip(str(error)) from error


def _fitted(entry: Entry) -> Any:
    score = _built(entry)
    if _spec(entry).needs_fit:
        _fit(score, _normal())
    return score


def _fit(score: Any, images: Tensor) -> None:
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        score.fit(torch.split(images, BATCH), _model())


def _call(score: Any, images: Tensor) -> Output:
    with torch.no_grad():
        output = score(images, _model())
    if not isinstance(output, tuple) or len(output) != 2:  # noqa: PLR2004 - scores and map
        raise ConformanceFailure(f"it returns {output!r:.60}; it must return (scores, map or None)")
    return cast("Output", output)


@functools.cache
def _model() -> Autoencoder:
    """Build an untrained autoencoder of the zoo; skip where its plugin is not loaded."""
    config = {"width": 8, "latent_dim": 16, "image_size": SIZE}
    try:
        plan = plan_compose("convae", "convae", config, config)
    except UsageError as error:
        raise Skip(f"scores are checked with the zoo's own autoencoder: {error}") from error
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_plan(plan).eval().requires_grad_(requires_grad=False)


def _normal(count: int = NORMAL, seed: int = 2) -> Tensor:
    """Make smooth grey images, uint8 N×3×H×W."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 128 + 24 * torch.randn(count, 1, 4, 4, generator=generator)
    smooth = functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear")
    return smooth.clamp(0, 255).round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()


def _varied() -> Tensor:
    """Make images from smooth to noisy."""
    generator = torch.Generator().manual_seed(6)
    images = _normal(VARIED, seed=7).float()
    strength = torch.linspace(0, 80, VARIED)[:, None, None, None]
    noisy = images + strength * torch.randn(images.shape, generator=generator)
    return noisy.clamp(0, 255).round().to(torch.uint8)
