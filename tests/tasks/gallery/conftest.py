"""A gallery of small models whose plugin puts markup wherever it may write text."""

import hashlib
import importlib
import sys
import types

import pytest
import torch

import convae_zoo as zoo
from convae_zoo import registry
from convae_zoo.data import ImageSet
from convae_zoo.errors import ZooWarning
from convae_zoo.registry.discovery import new_manager
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import Provenance
from convae_zoo.tasks.gallery import Settings, build_gallery, write_gallery
from image_files import marked_photo

MARKUP = (
    "<script>document.title = 'owned'</script><img src=\"http://evil.invalid/x\" onerror='hit()'>"
)
SIZES = {"train": 40, "val": 30}
CONFIG = {"width": 2, "latent_dim": 8, "image_size": 16}


def waves(split):
    """Smooth 16×16 colour images."""
    draw = torch.Generator().manual_seed(SIZES[split])
    base = torch.rand(SIZES[split], 3, 4, 4, generator=draw)
    smooth = torch.nn.functional.interpolate(base, (16, 16), mode="bicubic").clamp(0, 1)
    return ImageSet(name="waves", split=split, images=(smooth * 255).round().byte())


def model(name, encoder, decoder, weights):
    return zoo.ModelSpec(
        name=name,
        encoder=encoder,
        decoder=decoder,
        encoder_config=CONFIG,
        decoder_config={"width": 2, "latent_dim": 8, "image_size": 16},
        summary=f"{name} {MARKUP}",
        weights=weights,
    )


def stored(folder, name, encoder, decoder):
    """Write the weights of a small model into a package; return file and sha256 for their spec."""
    torch.manual_seed(0)
    built = zoo.compose(
        encoder=encoder, decoder=decoder, encoder_config=CONFIG, decoder_config=CONFIG
    )
    built.corruption = "gaussian(sigma=25)" if name == "dreams" else ""
    path = folder / f"{name}.safetensors"
    zoo.save_model(built, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": f"{folder.name}:{path.name}", "sha256": digest}


def raises():
    raise ValueError(MARKUP)


@pytest.fixture(scope="module")
def rogue_registry(tmp_path_factory):
    """A registry of small models with weights that load, and some that do not.

    Of a module, not of the session: it is in place of the real one until it is torn down.
    """
    package = tmp_path_factory.mktemp("site") / "rogue_weights"
    package.mkdir()
    (package / "__init__.py").touch()
    plain = stored(package, "plain", "convae", "convae")
    dreams = stored(package, "dreams", "variational", "residual")
    waves_of = {"dataset": "waves", "metrics": {"mse": 0.01, "psnr": 20.0, "images": 30}}
    module = types.ModuleType("rogue")
    entries = {
        "datasets": [zoo.DatasetSpec(name="waves", factory=waves)],
        "models": [
            model(
                "plain",
                "convae",
                "convae",
                [
                    zoo.WeightsSpec(tag="one", **plain, **waves_of),
                    zoo.WeightsSpec(tag="two", **plain, **waves_of),
                    zoo.WeightsSpec(tag="cut", **{**plain, "sha256": "0" * 64}, **waves_of),
                ],
            ),
            model(
                "dreams",
                "variational",
                "residual",
                [zoo.WeightsSpec(tag="one", **dreams, **waves_of)],
            ),
        ],
    }
    for hook, specs in entries.items():

        def implementation(register, specs=specs):
            for spec in specs:
                register(spec)

        setattr(module, f"register_{hook}", zoo.hookimpl(implementation))
    manager = new_manager()
    for name in ("convae_reference", "convae_architectures", "convae_scores", "convae_datasets"):
        without_models = types.ModuleType(name)
        loaded = importlib.import_module(f"{name}.register")
        for hook in (
            "register_encoders",
            "register_decoders",
            "register_scores",
            "register_datasets",
        ):
            if hasattr(loaded, hook):
                setattr(without_models, hook, getattr(loaded, hook))
        manager.add(Provenance(name, "convae-zoo", "1"), lambda m=without_models: m)
    manager.add(Provenance("rogue", f"dist {MARKUP}", "1"), lambda: module)
    with pytest.warns(ZooWarning):
        manager.add(Provenance("broken", "broken-dist", "1"), raises)
    sys.path.insert(0, str(package.parent))
    with registry.override(build_registry(manager)):
        yield
    sys.path.remove(str(package.parent))


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    return marked_photo(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def gallery(rogue_registry, photo):  # noqa: ARG001 - it must be in place
    """The content of the page."""
    return build_gallery(Settings(pictures=[photo, photo], device="cpu", map_of="waves"))


@pytest.fixture(scope="module")
def page(gallery, tmp_path_factory):
    """The page's file."""
    return write_gallery(tmp_path_factory.mktemp("gallery"), gallery)
