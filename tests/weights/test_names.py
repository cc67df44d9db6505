"""Weights by name: found, verified against the registry, or refused."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import attrs
import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo import hookimpl, registry
from convae_zoo.errors import UnknownNameError, UsageError
from convae_zoo.registry import fields
from convae_zoo.registry.discovery import load_entry_points
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec, ModelSpec, Provenance, WeightsSpec
from convae_zoo.weights.load import load_model, read_metadata
from convae_zoo.weights.save import save_model
from weight_files import file_bytes, images, small, told


def test_an_unknown_name_or_tag_is_reported_with_the_nearest():
    told(lambda: load_model("convae-20"), "'convae-200'", kind=UnknownNameError)
    told(lambda: load_model("convae-200.phtos"), "convae-200", "phtos", kind=UnknownNameError)


class Stubborn(nn.Linear):
    """A part that reads a value while it is built, so it needs real memory."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.scale = torch.tensor([2.0]).item()


class Odd(nn.Module):
    """A part with every kind of state; images pass through unchanged."""

    def __init__(self, scale: float, odd: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("exact", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("mask", torch.zeros(3, dtype=torch.bool))
        self.register_buffer("empty", torch.zeros(0, 2))
        self.register_buffer("fixed", torch.full((1,), scale), persistent=False)
        self.constant = torch.tensor([float(v) for v in odd])
        self.first = nn.Linear(4, 4, bias=False)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.first.weight
        self.frozen = nn.Parameter(torch.rand(2), requires_grad=False)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
        self.turned = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
        self.norm = nn.BatchNorm2d(1)
        self.stubborn = Stubborn()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(x * self.fixed) + self.constant.sum()
        return out


@attrs.frozen(kw_only=True)
class OddConfig:
    scale: float = fields.number(2.0)
    odd: tuple[float, float] = fields.value_range((0.25, 0.5))

    input_shape = output_shape = latent_shape = (1, 4, 4)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Add a plugin with models that have weights in an importable package; give its folder."""
    folder = tmp_path / "shelf_of_weights"
    (folder / "files").mkdir(parents=True)
    (folder / "__init__.py").touch()
    good = folder / "files" / "good.safetensors"
    good.write_bytes(file_bytes())
    digest = hashlib.sha256(file_bytes()).hexdigest()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)  # another test's

    def weights(tag: str, file: str | None, sha256: str | None = digest) -> WeightsSpec:
        return WeightsSpec(tag=tag, dataset="photos", file=file, sha256=sha256)

    @hookimpl
    def register_models(register: Callable[[ModelSpec], None]) -> None:
        tags = (
            weights("good", "shelf_of_weights:files/good.safetensors"),
            weights("gone", "shelf_of_weights:files/gone.safetensors"),
            weights("lost", "no_such_package:good.safetensors"),
            weights("untrained", None, None),
        )
        register(ModelSpec(name="shelf", encoder="convae", decoder="convae", weights=tags))
        register(ModelSpec(name="bare", encoder="convae", decoder="convae"))

    @hookimpl
    def register_encoders(register: Callable[[EncoderSpec], None]) -> None:
        register(EncoderSpec(name="odd", factory=Odd, config=OddConfig))

    @hookimpl
    def register_decoders(register: Callable[[DecoderSpec], None]) -> None:
        register(DecoderSpec(name="odd", factory=Odd, config=OddConfig))

    manager = load_entry_points()
    hooks = (register_models, register_encoders, register_decoders)
    plugin = ModuleType("shelf")
    vars(plugin).update({hook.__name__: hook for hook in hooks})
    manager.add(Provenance("shelf", "shelf-dist", "1"), lambda: plugin)
    built = build_registry(manager)
    with registry.override(built):
        yield folder / "files"


@pytest.mark.usefixtures("shelf")
def test_a_registered_name_loads_its_file():
    loaded = load_model("shelf.good")
    assert torch.equal(loaded(images()), small().eval()(images()))
    assert read_metadata("shelf.good")["model"]["name"] == "convae-200"


def test_a_file_that_is_not_the_registered_one_is_refused(shelf):
    save_model(small(activation="gelu"), shelf / "good.safetensors")
    told(lambda: load_model("shelf.good"), "shelf.good", "sha256", "reinstall")


@pytest.mark.usefixtures("shelf")
def test_missing_registered_weights_are_reported():
    told(lambda: load_model("shelf.gone"), "the weights of shelf.gone", "no such file")
    told(lambda: load_model("shelf.lost"), "no_such_package", "leads nowhere")


@pytest.mark.usefixtures("shelf")
def test_the_error_for_an_untrained_tag_says_how_to_train_it():
    told(
        lambda: load_model("shelf.untrained"),
        "not trained yet",
        "convae-zoo retrain shelf.untrained --out runs/shelf.untrained",
    )


@pytest.mark.usefixtures("shelf")
def test_the_error_for_a_model_without_weights_says_how_to_train_it():
    told(
        lambda: load_model("bare"),
        "convae-zoo train bare --dataset photos --out runs/bare",
        "load 'runs/bare'",
        kind=UsageError,
    )


@pytest.mark.usefixtures("shelf")
def test_the_error_for_a_name_without_a_tag_lists_the_trained_weights():
    told(lambda: load_model("shelf"), "'shelf.good'", "'shelf.gone'", kind=UsageError)


@pytest.mark.usefixtures("shelf")
def test_buffers_constants_and_tied_weights_are_restored(tmp_path):
    model = zoo.compose("odd", "odd", {"scale": 3.0}, {"odd": (-1.0, 7.0)})
    with torch.no_grad():
        model.encoder.steps += 2**40 + 1
        model.encoder.exact += 1 / 3
        model.encoder.mask[1] = True
        model.encoder.norm.running_mean += 0.5
    model.eval()
    for dtype in ("fp32", "bf16"):
        path = tmp_path / dtype
        save_model(model, path, dtype=dtype)
        loaded = load_model(path)
        part = loaded.encoder
        assert part.steps == 2**40 + 1
        assert part.steps.dtype == torch.int64
        assert part.mask.tolist() == [False, True, False]
        assert part.fixed == 3.0
        assert part.stubborn.scale == 2.0
        assert loaded.decoder.constant.tolist() == [-1.0, 7.0]
        assert part.tied.weight is part.first.weight
        assert not part.frozen.requires_grad
        assert part.exact.dtype == torch.float64
        x = torch.rand(2, 1, 4, 4)
        assert torch.allclose(loaded(x), model(x), rtol=1e-2)
    full = load_model(tmp_path / "fp32")
    mine = model.state_dict()
    assert all(torch.equal(mine[k], v) for k, v in full.state_dict().items())
    assert torch.equal(full.encoder.turned.weight, model.encoder.turned.weight)


@pytest.mark.usefixtures("shelf")
def test_a_non_tensor_in_the_state_dict_is_refused_when_saving(tmp_path, monkeypatch):
    monkeypatch.setattr(Odd, "get_extra_state", lambda _: {"anything": 1})
    model = zoo.compose("odd", "odd")
    told(lambda: save_model(model, tmp_path / "m"), "must be a dense tensor")


def test_listing_pretrained_names_does_not_import_torch():
    code = (
        "import sys, convae_zoo as zoo\n"
        "zoo.list_models(pretrained=True)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
