"""The models that the app offers: all installed ones and those that are named."""

from collections.abc import Callable, Sequence

import attrs

from convae_zoo.errors import ZooError
from convae_zoo.files import is_path
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry import find_model, list_models
from convae_zoo.runtime.device import choose_device
from convae_zoo.tasks.detect.detector import AnomalyDetector
from convae_zoo.tasks.detect.example import fit_example
from convae_zoo.weights import load_model
from convae_zoo.weights.load import read_metadata
from convae_zoo.weights.names import best_on

Progress = Callable[[str, int, int], None]
"""Called with a description of the current work, the steps done, and their total."""


@attrs.frozen(kw_only=True, eq=False)
class Model:
    """A trained model.

    Attributes:
        model: the autoencoder, in eval mode.
        sha256: of its weights.
        summary: what its author says of it, as plain text.
    """

    model: Autoencoder
    sha256: str
    summary: str

    @property
    def denoises(self) -> bool:
        """Whether it was trained to undo a corruption."""
        return bool(self.model.corruption)

    @property
    def takes_sigma(self) -> bool:
        """Whether it is told the noise's standard deviation."""
        return self.model.plan.takes_sigma

    @property
    def samples(self) -> bool:
        """Whether it can sample new images."""
        return hasattr(self.model.encoder, "sample_latent")


@attrs.frozen(kw_only=True, eq=False)
class Models:
    """The models, loaded.

    Attributes:
        models: by name.
        best: the name of the best installed one for photographs, by its card; None without any.
        left_out: installed ones that cannot be loaded, each with the reason.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    models: dict[str, Model]
    best: str | None = None
    left_out: tuple[str, ...] = ()
    device: str = "auto"

    def example_detector(self) -> AnomalyDetector:
        """Fit the example detector, with the best model.

        Raises:
            ZooError: there is none, or as `fit_example` does.
        """
        if self.best is None:
            raise ZooError("no model that was trained on photos is installed; load a detector")
        return fit_example(self.models[self.best].model, self.device)


def load_models(named: Sequence[str], device: str, progress: Progress = lambda *_: None) -> Models:
    """Load all installed trained models; one that fails is left out.

    Args:
        named: more models: run folders and weights files.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: see `Progress`.

    Raises:
        ZooError: one that is named cannot be loaded, or there is none at all.
    """
    installed = [name for name in list_models(pretrained=True) if name not in named]
    models: dict[str, Model] = {}
    left_out = []
    for number, name in enumerate([*named, *installed]):
        progress(f"loading {name}", number, len(named) + len(installed))
        try:
            models[name] = _load(name, device)
        except ZooError as error:
            if name in named:
                raise
            left_out.append(f"{name}: {error}")
    if not models:
        raise ZooError(f"none of the installed models can be loaded; {'; '.join(left_out)}")
    best = best_on("photos", [name for name in installed if name in models])
    return Models(models=models, best=best, left_out=tuple(left_out), device=device)


def _load(name: str, device: str) -> Model:
    model = load_model(name, device=choose_device(device))
    summary = model.name if is_path(name) else find_model(name)[0].summary
    return Model(model=model, sha256=read_metadata(name)["sha256"], summary=summary)
