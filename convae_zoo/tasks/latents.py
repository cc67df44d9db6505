"""`LatentTransformer`: a scikit-learn transformer from pictures to an autoencoder's latents."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, check_random_state
from torch import Tensor

from convae_zoo.data import empty_images, pixels
from convae_zoo.data.image_file import MAX_PIXELS
from convae_zoo.errors import InputError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.accelerated import accelerated
from convae_zoo.runtime.modes import BATCH_SIZE, default_modes
from convae_zoo.tasks.estimators.intake import Intake
from convae_zoo.tasks.estimators.layout import Layout
from convae_zoo.tasks.estimators.model import find_source, place
from convae_zoo.tasks.estimators.pictures import Pictures

_MOST_SEED = 2**31 - 1
_VALIDATION = 256


class LatentTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Transforms pictures into the latents of an autoencoder, and latents into pictures.

    Pictures larger than the model's images are scaled to them.

    X is uint8 N×C×H×W or N×H×W×C; a list of paths or PIL images; an `ImageSet`; or a 2-D array of
    numbers, a row per image, with `image_shape`.

    Args:
        model: a model's name, to train it at the pictures' size and channels; or stored weights by
            name or path, or a model in memory, all of which are left as they are.
        image_shape: (C, H, W) of the rows of a 2-D X; one of them may be -1.
        train: train the model; otherwise `model` must be trained.
        recipe: a recipe or its name, as `train` takes it; by default the model's own.
        changes: values of the recipe's fields, such as ``{"epochs": 3}``.
        overrides: config values of a model with fresh weights, such as ``{"latent_dim": 64}``.
        random_state: seed of the weights and the order of the images.
        max_pixels: image files with more pixels are refused.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        verbose: show the training's progress on stderr.

    Attributes:
        model_: the autoencoder, in eval mode.
        layout_: how pictures become the model's images.
        intake_: what was given to `fit`, and what must be given to `transform`.
    """

    def __init__(
        self,
        model: Autoencoder | str | Path = "residual-200",
        *,
        image_shape: tuple[int, int, int] | None = None,
        train: bool = True,
        recipe: Recipe | str | None = None,
        changes: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        max_pixels: int = MAX_PIXELS,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.image_shape = image_shape
        self.train = train
        self.recipe = recipe
        self.changes = changes
        self.overrides = overrides
        self.random_state = random_state
        self.max_pixels = max_pixels
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's signature
        """Train the model, or load it.

        Args:
            X: images, in any of the forms above.
            y: ignored.

        Raises:
            InputError: X cannot be used.
            ZooError: the model or the recipe cannot be used, or the training failed.
        """
        intake, pictures = Intake.learn(self, X)
        if len(pictures) < 2:  # noqa: PLR2004 - as in a table
            raise InputError(f"X has {len(pictures)} sample; at least 2 images are needed")
        seed = int(check_random_state(self.random_state).randint(_MOST_SEED))
        first = pictures[0]
        source = find_source(
            self.model, fresh=self.train, picture=first, overrides=self.overrides or {}
        )
        layout = Layout.of(first, source.image_shape)
        model = source.model
        with default_modes():
            if self.train or model is None:
                images = _images(pictures, layout)
                model = source.trained(
                    images,
                    images[:_VALIDATION],
                    recipe=self.recipe,
                    changes=self.changes or {},
                    seed=seed,
                    device=self.device,
                    progress=self.verbose,
                )
            self.model_ = place(model, self.device)
        self.layout_, self.intake_ = layout, intake
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803 - scikit-learn's name
        """Return the latents, flattened, float32 N×D."""
        check_is_fitted(self)
        pictures = self.intake_.pictures(self, X)
        found, model = [], accelerated(self.model_)
        with default_modes(), torch.no_grad():
            for start in range(0, len(pictures), BATCH_SIZE):
                part = range(start, min(start + BATCH_SIZE, len(pictures)))
                images = _images(pictures.chosen(part), self.layout_)
                found.append(model.encode(model.to_float(images)).flatten(1).cpu())
        return torch.cat(found).numpy()

    def inverse_transform(self, X: Any) -> "NDArray[np.float32] | NDArray[np.uint8]":  # noqa: N803 - the same
        """Decode latents N×D into what `fit` was given: rows, float32 N×D', or pictures.

        Pictures are uint8 N×C×H×W at their own size, or at the model's if they were larger.

        Raises:
            InputError: D is not the number of values of a latent.
        """
        check_is_fitted(self)
        try:
            rows = check_array(X, dtype=np.float32)
        except ValueError as error:
            raise InputError(str(error)) from error
        if rows.shape[1] != self._n_features_out:
            raise InputError(
                f"latents of {self.model_.name} have {self._n_features_out} features, got "
                f"{rows.shape[1]}"
            )
        latents = torch.from_numpy(np.array(rows)).reshape(-1, *self.model_.latent_shape)
        with default_modes(), torch.no_grad():
            decoded = torch.cat([self._decoded(part) for part in torch.split(latents, BATCH_SIZE)])
        if self.intake_.table is not None:
            return self.intake_.table.to_rows(decoded)
        return pixels.to_uint8(decoded, (0.0, 1.0)).numpy()

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: the output is float32 whatever the input is."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        """The number of values of a latent, by which scikit-learn names the output's columns."""
        return math.prod(self.model_.latent_shape)

    def _decoded(self, latents: Tensor) -> Tensor:
        """Decode latents into float images in [0, 1], of the pictures' channels and size."""
        low, high = self.model_.value_range
        decoded = accelerated(self.model_).decode(latents.to(self.model_.device, self.model_.dtype))
        unit = ((decoded.float().cpu() - low) / (high - low)).clamp(0, 1)
        return self.layout_.restored(unit)


def _images(pictures: Pictures, layout: Layout) -> Tensor:
    """Turn pictures into images of the model, uint8 N×C×H×W; larger ones are scaled."""
    if layout.picture_size is not None:
        return layout.images(pictures)
    images = empty_images(len(pictures), layout.image_shape)
    for index, picture in enumerate(pictures):
        layout.check(picture, pictures.name(index))
        images[index] = pixels.fit(picture[None], layout.image_shape)[0]
    return images
