"""What a fitted detector consists of, and how it scores pictures."""

import copy
from collections.abc import Callable, Iterator

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convae_zoo.data.tiles import map_tiles
from convae_zoo.errors import DataError, InputError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.accelerated import accelerated
from convae_zoo.runtime.modes import BATCH_SIZE
from convae_zoo.tasks.detect.scores import CheckedScore
from convae_zoo.tasks.estimators.layout import Layout
from convae_zoo.tasks.estimators.pictures import Pictures

_COLOURLESS = 0.9  # the fraction of normal pictures whose heatmap has no colour


@attrs.frozen(kw_only=True, eq=False)
class Scored:
    """One picture's result.

    Attributes:
        score: higher is more anomalous.
        map: float32 H×W on the CPU, of the picture's size, higher is more anomalous; None if the
            score has none.
    """

    score: float
    map: Tensor | None


@attrs.frozen(kw_only=True, eq=False)
class Calibration:
    """What held-out normal pictures gave.

    Attributes:
        scores: float32, n.
        peaks: the highest value of each one's map, float32, n; None without maps.
    """

    scores: NDArray[np.float32]
    peaks: NDArray[np.float32] | None

    @property
    def level(self) -> float:
        """The value that the maps of nine in ten normal pictures stay below; 0 without maps."""
        return 0.0 if self.peaks is None else float(np.quantile(self.peaks, _COLOURLESS))

    @classmethod
    def of(cls, scored: Iterator[Scored]) -> "Calibration":
        """Collect the results of held-out pictures."""
        scores, peaks = [], []
        for each in scored:
            scores.append(each.score)
            if each.map is not None:
                peaks.append(float(each.map.max()))
        return cls(
            scores=np.array(scores, dtype=np.float32),
            peaks=np.array(peaks, dtype=np.float32) if peaks else None,
        )


@attrs.frozen(kw_only=True, eq=False)
class Scorer:
    """Scores pictures one by one.

    Attributes:
        model: in eval mode, on its device.
        score: fitted.
        layout: how pictures become the model's images.
    """

    model: Autoencoder
    score: CheckedScore
    layout: Layout

    @property
    def gives_map(self) -> bool:
        """Whether it makes maps: if the score does, or by scoring tile by tile."""
        return self.score.spec.gives_map or self.layout.picture_size is None

    def on_cpu(self) -> "Scorer":
        """Return a copy on the CPU."""
        device = torch.device("cpu")
        model = copy.deepcopy(self.model).to(device)
        return attrs.evolve(self, model=model, score=self.score.copied(device))

    def __call__(
        self, pictures: Pictures, progress: Callable[[int], object] = lambda _: None
    ) -> Iterator[Scored]:
        """Score pictures in order; `progress` is called with the number just finished.

        Raises:
            InputError: a picture cannot be read, or has another size or other channels.
            DataError: a score is NaN or infinite.
        """
        if self.layout.picture_size is None:
            for index, picture in enumerate(pictures):
                self.layout.check(picture, pictures.name(index))
                yield self._by_tiles(picture)
                progress(1)
            return
        for start in range(0, len(pictures), BATCH_SIZE):
            part = range(start, min(start + BATCH_SIZE, len(pictures)))
            scores, maps = self._images(self.layout.images(pictures.chosen(part)))
            whole = None if maps is None else self.layout.cropped(maps).cpu()
            for index, score in enumerate(scores.tolist()):
                yield Scored(score=score, map=None if whole is None else whole[index])
            progress(len(part))

    def _images(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        scores, maps = self.score(images.to(self.model.device), accelerated(self.model))
        return scores.cpu(), maps

    def _by_tiles(self, picture: Tensor) -> Scored:
        """Score a picture by its tiles: the highest score, and the maps blended into one."""
        _, height, width = self.layout.image_shape
        highest = -np.inf

        def score_tiles(tiles: Tensor) -> Tensor:
            nonlocal highest
            scores, maps = self._images(tiles)
            highest = max(highest, float(scores.max()))
            return scores[:, None, None].expand(-1, height, width) if maps is None else maps

        blended = map_tiles(
            self.layout.coloured(picture[None]),
            score_tiles,
            (height, width),
            overlap=self.layout.overlap,
            batch_size=BATCH_SIZE,
        )
        return Scored(score=highest, map=blended[0])


def calibrate(
    scorer: Scorer, held_out: Pictures, progress: Callable[[int], object] = lambda _: None
) -> Calibration:
    """Score held-out normal pictures.

    Raises:
        InputError: all have the same score, or one is NaN or infinite: the model has collapsed.
    """
    try:
        found = Calibration.of(scorer(held_out, progress))
    except InputError:
        raise
    except DataError as error:
        raise InputError(f"{error}; {_why(scorer, held_out)}") from error
    scores = found.scores
    if len(scores) > 1 and scores.min() == scores.max():
        raise InputError(
            f"all {len(scores)} held-out normal images have the score {scores[0]:g}, which cannot "
            f"tell images apart; {_why(scorer, held_out)}"
        )
    return found


_LOOKED_AT = 64


def _why(scorer: Scorer, held_out: Pictures) -> str:
    """Say why scores are constant or not finite."""
    some = held_out.chosen(range(min(_LOOKED_AT, len(held_out))))
    images = scorer.layout.samples(some, _LOOKED_AT, torch.Generator().manual_seed(0))
    model = scorer.model
    if bool((images == images[:1]).all()):
        return "the images themselves are all the same"
    with torch.no_grad():
        latents = model.encode(model.to_float(images))
        reconstructions = model.decode(latents)
    if not bool(latents.isfinite().all() and reconstructions.isfinite().all()):
        return "the model has collapsed: it gives NaN or infinity; lower the learning rate"
    if bool((latents == latents[:1]).all()):
        return (
            "the model has collapsed: it maps every image to the same latent; train it with "
            "another recipe"
        )
    if bool((reconstructions == reconstructions[:1]).all()):
        return "the model has collapsed: it reconstructs every image the same"
    return f"the model works, so it is the score {scorer.score.spec.name!r}; choose another one"
