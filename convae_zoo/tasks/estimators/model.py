"""The model of an estimator: built at the pictures' size and trained, or given."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from convae_zoo.data import ImageSet
from convae_zoo.errors import ConfigError, InputError, UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.plan import Plan, plan_model
from convae_zoo.registry.factories import field_names
from convae_zoo.registry.specs import Recipe, shape_text
from convae_zoo.runtime.device import choose_device
from convae_zoo.tasks.estimators.layout import Size
from convae_zoo.training import train
from convae_zoo.training.start import find_start
from convae_zoo.weights.load import load_model

LARGEST_WHOLE = 64
"""Pictures with longer sides are cut into tiles."""

TILE = 32
"""Height and width of the tiles of a model that is trained on them."""

_MULTIPLES = (4, 8, 16, 32)  # what architectures ask of an image's size
_SMALLEST = 7 / 8  # of a given model's side; `pixels.fit` pads images from there on


@attrs.frozen(kw_only=True)
class Source:
    """What an estimator's model is made from.

    Attributes:
        name: a registered model's name or ``encoder+decoder``, built with fresh weights and
            trained; or, if `model` is given, that of stored weights, or empty.
        overrides: config values of a model with fresh weights.
        model: a trained model, on the CPU; a copy.
        weights: name and sha256 of registered weights or a file.
        image_shape: of the model, (C, H, W).
    """

    name: str
    overrides: Mapping[str, Any]
    model: Autoencoder | None
    weights: Mapping[str, str] | None
    image_shape: Size

    def trained(
        self,
        images: Tensor,
        val: Tensor,
        *,
        recipe: Recipe | str | None,
        changes: Mapping[str, Any],
        seed: int,
        device: str,
        progress: bool,
    ) -> Autoencoder:
        """Train the model on uint8 images N×C×H×W; `val` is only measured.

        Raises:
            ZooError: as `train` does.
        """
        sets = (
            ImageSet(name="X", split="train", images=images),
            ImageSet(name="X", split="val", images=val),
        )
        return train(
            self.name if self.model is None else self.model,
            dataset=sets,
            recipe=recipe,
            overrides=self.overrides,
            device=device,
            progress=progress,
            **{"seed": seed, **changes},
        ).model


def find_source(
    model: Autoencoder | str | Path,
    *,
    fresh: bool,
    picture: Tensor,
    overrides: Mapping[str, Any],
) -> Source:
    """Find an estimator's model; one with fresh weights gets the pictures' channels and size.

    Args:
        model: a model's name; stored weights by name or path; or a model in memory.
        fresh: whether a model without weights may be given, to be trained.
        picture: uint8 C×H×W, like all that will be given.
        overrides: config values of a model with fresh weights.

    Raises:
        InputError: the pictures are smaller than the model's images.
        ZooError: as `load_model` and `plan_model` do.
    """
    start = find_start(model, dict(overrides), fresh=False)
    if start.model is None and not fresh:
        load_model(str(model))  # says that the name has no weights
        raise UsageError(f"model {model!r} has no trained weights; pass train=True")
    if start.model is not None:
        found = Source(
            name=(start.weights or {}).get("name", ""),
            overrides={},
            model=copy.deepcopy(start.model).cpu().eval(),
            weights=start.weights if (start.weights or {}).get("sha256") else None,
            image_shape=start.plan.image_shape,
        )
    else:
        chosen = {**_sizes(start.plan, str(model), picture, overrides), **overrides}
        found = Source(
            name=str(model),
            overrides=chosen,
            model=None,
            weights=None,
            image_shape=plan_model(str(model), **chosen).image_shape,
        )
    if "image_size" not in found.overrides or "image_size" in overrides:
        _check_not_small(picture, found.image_shape)
    return found


def place(model: Autoencoder, device: str) -> Autoencoder:
    """Move a model to a device, in eval mode and without gradients."""
    return model.to(choose_device(device)).eval().requires_grad_(requires_grad=False)


def _sizes(plan: Plan, name: str, picture: Tensor, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Return the channels and the image size for pictures like one, as far as a plan has them."""
    known = {*field_names(plan.encoder), *field_names(plan.decoder)}
    found = {"in_channels": len(picture)} if "in_channels" in known else {}
    if "image_size" not in known or "image_size" in overrides:
        return found
    side = max(picture.shape[1:])
    for multiple in _MULTIPLES:
        size = -(-side // multiple) * multiple if side <= LARGEST_WHOLE else TILE
        try:
            plan_model(name, **{**found, "image_size": size, **overrides})
        except ConfigError as error:
            refused = error
            continue
        return {**found, "image_size": size}
    raise refused


def _check_not_small(picture: Tensor, image_shape: Size) -> None:
    height, width = picture.shape[1:]
    if height < _SMALLEST * image_shape[1] or width < _SMALLEST * image_shape[2]:
        raise InputError(
            f"the pictures are {height}×{width}, smaller than a tile of the model, "
            f"{shape_text(image_shape[1:])}; enlarge them, or train a model of their size"
        )
