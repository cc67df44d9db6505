"""`AnomalyDetector`: a scikit-learn outlier detector that learns from normal pictures alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, check_random_state

from convae_zoo.data.image_file import MAX_PIXELS
from convae_zoo.errors import InputError, UsageError, WeightsError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.accelerated import accelerated
from convae_zoo.runtime.modes import default_modes
from convae_zoo.runtime.progress import image_progress, stage_progress
from convae_zoo.tasks.detect import conformal, defaults, file
from convae_zoo.tasks.detect.fitted import Scored, Scorer, calibrate
from convae_zoo.tasks.detect.scores import Batches, create_score
from convae_zoo.tasks.estimators.intake import Intake
from convae_zoo.tasks.estimators.layout import Layout
from convae_zoo.tasks.estimators.model import Source, find_source, place
from convae_zoo.tasks.estimators.pictures import Pictures

_MOST_SEED = 2**31 - 1


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Detects anomalous pictures after learning from normal ones alone.

    `fit` trains an autoencoder, fits an anomaly score, and sets the threshold on normal images that
    it holds out, so that of new normal images at most `alarm_rate` are flagged on average.

    Small pictures of one size are scored whole; larger ones by overlapping tiles, and a picture's
    score is that of its most anomalous tile.

    X is uint8 N×C×H×W or N×H×W×C; a list of paths or PIL images; an `ImageSet`; or a 2-D array of
    numbers, a row per image, with `image_shape`.

    Args:
        model: a model's name, to train it at the pictures' size and channels; or stored weights by
            name or path, or a model in memory, all of which are left as they are.
        score: an anomaly score, optionally with config values: ``combined(neighbours=5)``.
        alarm_rate: the share of normal images that may be flagged; it may be changed after fitting.
        image_shape: (C, H, W) of the rows of a 2-D X; one of them may be -1.
        train: train the model; otherwise `model` must be trained.
        recipe: a recipe or its name, as `train` takes it; by default the detector's own.
        changes: values of the recipe's fields, such as ``{"epochs": 3}``.
        overrides: config values of a model with fresh weights, such as ``{"latent_dim": 64}``.
        held_out: the share of the normal images that sets the threshold; more are held out if
            `alarm_rate` needs them, up to half.
        random_state: seed of the split, the weights and the order of the images.
        max_pixels: image files with more pixels are refused.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        verbose: show the progress of the fit on stderr.

    Attributes:
        scorer_: the model, the score and how pictures become the model's images.
        calibration_: raw scores of the held-out images.
        intake_: what was given to `fit`, and what must be given to the other methods.
    """

    def __init__(
        self,
        model: Autoencoder | str | Path = defaults.MODEL,
        *,
        score: str = defaults.SCORE,
        alarm_rate: float = 0.01,
        image_shape: tuple[int, int, int] | None = None,
        train: bool = True,
        recipe: Recipe | str | None = None,
        changes: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        held_out: float = defaults.HELD_OUT,
        random_state: int | np.random.RandomState | None = 0,
        max_pixels: int = MAX_PIXELS,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.score = score
        self.alarm_rate = alarm_rate
        self.image_shape = image_shape
        self.train = train
        self.recipe = recipe
        self.changes = changes
        self.overrides = overrides
        self.held_out = held_out
        self.random_state = random_state
        self.max_pixels = max_pixels
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's signature
        """Learn from normal images.

        Args:
            X: normal images, in any of the forms above.
            y: ignored.

        Raises:
            InputError: X cannot be used, has too few images for `alarm_rate`, or the model has
                collapsed.
            ZooError: the model, the score or the recipe cannot be used, or the training failed.
        """
        intake, pictures = Intake.learn(self, X)
        held_out = self._count_held_out(len(pictures))
        score = create_score(self.score)
        random = check_random_state(self.random_state)
        seed = int(random.randint(_MOST_SEED))
        order = random.permutation(len(pictures)).tolist()
        held, normal = pictures.chosen(order[:held_out]), pictures.chosen(order[held_out:])
        first = pictures[0]
        source = find_source(
            self.model, fresh=self.train, picture=first, overrides=self._overrides(first.numel())
        )
        layout = Layout.of(first, source.image_shape)
        generator = torch.Generator().manual_seed(seed)
        with default_modes():
            with image_progress("reading images", len(normal), enabled=self.verbose) as advance:
                images = layout.samples(normal, defaults.TRAINING_TILES, generator, advance)
            model = source.model
            if self.train or model is None:
                model = self._trained(source, images, layout, held, generator, seed)
            scorer = Scorer(model=place(model, self.device), score=score, layout=layout)
            with stage_progress(enabled=self.verbose) as progress, torch.random.fork_rng():
                progress(f"fitting {score.spec.name}", 0, 0)
                torch.manual_seed(seed)
                score.fit(Batches(images, scorer.model.device), accelerated(scorer.model))
            with image_progress("scoring held-out", len(held), enabled=self.verbose) as advance:
                calibration = calibrate(scorer, held, advance)
        self.scorer_, self.calibration_ = scorer, calibration
        self.intake_ = intake
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:  # noqa: N803 - scikit-learn's name
        """Return a score per image, float64 N; higher is more normal."""
        return -self._scores(X).astype(np.float64)

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803 - the same
        """Return `score_samples` minus `offset_`, float64 N; below 0 an image is anomalous."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:  # noqa: N803 - the same
        """Return -1 for anomalous and +1 for normal images, int64 N."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> NDArray[np.float64]:  # noqa: N803 - the same
        """Return conformal p-values, float64 N: how rarely a normal image scores as high.

        They are from 1/(n + 1) to 1, with n held-out images. Flagging the images with a p-value of
        at most alpha flags at most that share of normal images, on average.
        """
        return conformal.p_values(self.calibration_scores_, self._scores(X))

    def anomaly_map(self, X: Any) -> NDArray[np.float32] | list[NDArray[np.float32]]:  # noqa: N803 - the same
        """Return a map per image at its own size, float32 N×H×W; higher is more anomalous.

        Pictures of different sizes give a list of maps H×W.

        Raises:
            UsageError: the score gives no map.
        """
        check_is_fitted(self)
        if not self.scorer_.gives_map:
            raise UsageError(
                f"score {self.scorer_.score.spec.name!r} gives no map; choose one that does, such "
                "as 'reconstruction'"
            )
        maps = [each.map.numpy() for each in self.scored(X) if each.map is not None]
        if len({each.shape for each in maps}) > 1:
            return maps
        return np.stack(maps)

    def scored(self, X: Any) -> Iterator[Scored]:  # noqa: N803 - the same
        """Score images one by one, with bounded memory for any number of pictures."""
        check_is_fitted(self)
        pictures = self.intake_.pictures(self, X)
        with default_modes():
            yield from self.scorer_(pictures)

    def save(self, path: str | Path) -> None:
        """Write the fitted detector as a safetensors file.

        Registered weights that are used as they are (``train=False``) are recorded by name and
        sha256; any other model is part of the file.

        Raises:
            WeightsError: NaN or infinity in the model or the score.
            FileError: the file cannot be written.
        """
        check_is_fitted(self)
        arguments = self.get_params(deep=False)
        model = arguments.pop("model")
        del arguments["device"]
        name = file.registered_name(model)
        names = getattr(self, "feature_names_in_", None)
        file.write(
            file.Stored(
                arguments=arguments,
                model_name=name,
                weights=None if self.train else name,
                scorer=self.scorer_,
                calibration=self.calibration_,
                intake=self.intake_,
                features=(
                    getattr(self, "n_features_in_", None),
                    None if names is None else [str(each) for each in names],
                ),
            ),
            path,
        )

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """Load a detector that `save` wrote; its scores are the same, bit for bit.

        Args:
            path: the file.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            WeightsError: the file is missing, damaged, altered or no detector; a plugin or
                registered weights that it needs are not installed; or these have another sha256.
        """
        stored = file.read(path, device)
        model = stored.scorer.model if stored.model_name is None else stored.model_name
        try:
            detector = cls(model, device=device, **stored.arguments)
        except TypeError as error:
            raise WeightsError(f"{path}: its arguments are not a detector's: {error}") from error
        detector.scorer_, detector.calibration_ = stored.scorer, stored.calibration
        detector.intake_ = stored.intake
        count, names = stored.features
        if count is not None:
            detector.n_features_in_ = count
        if names is not None:
            detector.feature_names_in_ = np.array(names, dtype=object)
        return detector

    @property
    def threshold_(self) -> float:
        """The score above which an image is anomalous, by `alarm_rate`."""
        return conformal.threshold(self.calibration_scores_, conformal.check_rate(self.alarm_rate))

    @property
    def offset_(self) -> float:
        """The value of `score_samples` below which an image is anomalous: -`threshold_`."""
        return -self.threshold_

    @property
    def map_threshold_(self) -> float | None:
        """The value of a map above which a pixel is marked; None without maps.

        Of new normal images at most `alarm_rate` have a marked pixel, on average.
        """
        check_is_fitted(self)
        peaks = self.calibration_.peaks
        if peaks is None:
            return None
        return conformal.threshold(peaks, conformal.check_rate(self.alarm_rate))

    @property
    def calibration_scores_(self) -> NDArray[np.float32]:
        """Raw scores of the held-out normal images, float32 n; higher is more anomalous."""
        check_is_fitted(self)
        return self.calibration_.scores

    @property
    def n_calibration_(self) -> int:
        """The number of held-out normal images."""
        return len(self.calibration_scores_)

    @property
    def model_(self) -> Autoencoder:
        """The autoencoder, in eval mode."""
        check_is_fitted(self)
        return self.scorer_.model

    @property
    def score_(self) -> Any:
        """The fitted score."""
        check_is_fitted(self)
        return self.scorer_.score.score

    @property
    def image_shape_(self) -> tuple[int, int, int]:
        """(C, H, W) of the images that the model and the score get."""
        check_is_fitted(self)
        return self.scorer_.layout.image_shape

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether `fit` or `load` has run."""
        return hasattr(self, "scorer_")

    def _scores(self, X: Any) -> NDArray[np.float32]:  # noqa: N803 - the same
        return np.array([each.score for each in self.scored(X)], dtype=np.float32)

    def _overrides(self, values: int) -> dict[str, Any]:
        own = defaults.model_config(values) if self.model == defaults.MODEL else {}
        return {**own, **(self.overrides or {})}

    def _trained(
        self,
        source: Source,
        images: torch.Tensor,
        layout: Layout,
        held: Pictures,
        generator: torch.Generator,
        seed: int,
    ) -> Autoencoder:
        some = held.chosen(range(min(len(held), defaults.VALIDATION)))
        own = defaults.MODEL_RECIPE if self.model == defaults.MODEL else defaults.RECIPE
        return source.trained(
            images,
            layout.samples(some, defaults.VALIDATION, generator),
            recipe=own if self.recipe is None else self.recipe,
            changes=self.changes or {},
            seed=seed,
            device=self.device,
            progress=self.verbose,
        )

    def _count_held_out(self, count: int) -> int:
        """Return how many of the normal images are held out.

        Raises:
            InputError: half of them are fewer than `alarm_rate` needs.
        """
        rate = conformal.check_rate(self.alarm_rate)
        if not 0 < self.held_out <= defaults.MOST_HELD_OUT:
            raise InputError(
                f"held_out must be above 0 and at most {defaults.MOST_HELD_OUT:g}, got "
                f"{self.held_out!r:.60}"
            )
        needed, most = conformal.needed(rate), int(count * defaults.MOST_HELD_OUT)
        if count < 2:  # noqa: PLR2004 - one to fit, one held out
            raise InputError(
                f"X has {count} sample; normal images are needed to fit and to hold out, at least "
                f"{max(2, 2 * needed):,} of them for alarm_rate={rate:g}"
            )
        if needed > most:
            raise InputError(
                f"alarm_rate={rate:g} needs {needed:,} held-out normal images, and of the "
                f"{count:,} given at most {most:,} are held out: give {2 * needed - count:,} more, "
                f"or set alarm_rate to at least {1 / (most + 1):.4g}"
            )
        return min(most, max(round(count * self.held_out), needed, 1))
