"""A part is checked on a tiny batch when it is built."""

import attrs
import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.errors import ConfigError, PluginError, UnknownNameError, UsageError
from convae_zoo.models import contract
from convae_zoo.models.loading import loading_state
from convae_zoo.registry import Registry, fields, get_registry, override
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec, LossSpec, Provenance
from convae_zoo.tasks.compress.codes import checked_codes, codes_of


class Encoder(nn.Module):
    """Maps images 3×8×8 to a latent of five floats, or does what `fault` says."""

    calls = 0

    def __init__(self, fault="", image_size=8):
        super().__init__()
        self.fault = fault
        self.linear = nn.Linear(3 * image_size**2, 5)
        self.norm = nn.BatchNorm1d(5)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        type(self).calls += 1
        z = self.drop(self.norm(self.linear(x.flatten(1)))) + torch.rand(1)
        faults = {
            "tuple": lambda: (z, [x]),
            "none": lambda: None,
            "array": z.numpy,
            "half": z.half,
            "whole": z.long,
            "wide": lambda: torch.cat([z, z], 1),
            "batch": lambda: z.mean(0, keepdim=True),
            "flat": z.flatten,
            "raise": lambda: z[:, 9],
            "device": lambda: z.to("meta"),
        }
        return faults.get(self.fault, lambda: z)()


class WithTerms(Encoder):
    def __init__(self, fault="", image_size=8):
        super().__init__(image_size=image_size)
        self.terms_fault = fault

    def forward_with_terms(self, x):
        z = self(x)
        return {"none": z, "wide": (z[:, 1:], {}), "": (z, {"kl": z.mean()})}[self.terms_fault]


class Decoder(nn.Module):
    def __init__(self, fault="", image_size=8):
        super().__init__()
        self.fault, self.size = fault, image_size
        self.linear = nn.Linear(5, 3 * image_size**2)

    def forward(self, z):
        images = self.linear(z).view(-1, 3, self.size, self.size)
        return images[:, :, 1:] if self.fault == "shape" else images


@attrs.frozen(kw_only=True)
class Config:
    fault: str = fields.text("")
    image_size: int = fields.integer(8)

    @property
    def input_shape(self):
        return (3, self.image_size, self.image_size)

    output_shape = input_shape
    latent_shape = (5,)


@pytest.fixture(autouse=True)
def _parts():
    """The encoders ``odd`` and ``odd-terms`` and the decoder ``odd``, of one plugin."""
    installed = get_registry()
    source = {"provenance": Provenance("odd-plugin", "odd-dist", "1.0"), "config": Config}
    encoders = {
        "odd": EncoderSpec(name="odd", factory=Encoder, **source),
        "odd-terms": EncoderSpec(name="odd-terms", factory=WithTerms, **source),
        "odd-discrete": EncoderSpec(name="odd-discrete", factory=Discrete, **source),
    }
    decoders = {"odd": DecoderSpec(name="odd", factory=Decoder, **source)}
    entries = {
        **installed.entries,
        "encoder": {**installed.entries["encoder"], **encoders},
        "decoder": {**installed.entries["decoder"], **decoders},
    }
    with override(Registry(entries, installed.plugins)):
        yield


@pytest.mark.parametrize(
    ("name", "fault", "what"),
    [
        ("odd", "tuple", "its latent must be a tensor float32 N×5, got a value of type tuple"),
        ("odd", "none", "its latent must be a tensor float32 N×5, got None"),
        ("odd", "array", "its latent must be a tensor float32 N×5, got a value of type ndarray"),
        ("odd", "half", "its latent must be a tensor float32 N×5, got float16 2×5"),
        ("odd", "whole", "its latent must be a tensor float32 N×5, got int64 2×5"),
        ("odd", "wide", "its latent must be a tensor float32 N×5, got float32 2×10"),
        ("odd", "batch", "its latent must be a tensor float32 N×5, got float32 1×5"),
        ("odd", "flat", "its latent must be a tensor float32 N×5, got float32 10"),
        ("odd", "raise", "its forward pass fails on a batch 2×3×8×8: IndexError: index 9 is out"),
        (
            "odd-terms",
            "none",
            "forward_with_terms must return (output, terms by name), got float32",
        ),
        ("odd-terms", "wide", "its latent must be a tensor float32 N×5, got float32 2×4"),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_refused_when_it_is_built(name, fault, what):
    for build in (
        lambda: zoo.compose(name, "odd", {"fault": fault}),
        lambda: zoo.create_encoder(name, fault=fault),
    ):
        with pytest.raises(PluginError) as caught:
            build()
        start = f"encoder {name!r} of plugin 'odd-plugin' (odd-dist 1.0): {what}"
        assert str(caught.value).startswith(start)
        assert "\n" not in str(caught.value)


def test_a_decoder_that_breaks_its_contract_is_refused_when_it_is_built():
    with pytest.raises(PluginError, match=r"decoder 'odd' .* float32 N×3×8×8, got float32 2×3×7×8"):
        zoo.create_model("odd+odd", fault="shape")


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("tuple", "got a value of type tuple"),
        ("none", "got None"),
        ("half", "got float16 4×5"),
        ("whole", "got int64 4×5"),
        ("wide", "got float32 4×10"),
        ("batch", "got float32 1×5"),
        ("device", "float32 N×5 on cpu, got float32 4×5 on meta"),
    ],
)
def test_a_part_that_breaks_its_contract_later_is_told_wherever_it_is_used(fault, what):
    """In its first call it keeps the contract, so the check when it is built passes."""
    model = zoo.compose("odd", "odd")
    model.encoder.fault = fault
    images = zoo.ImageSet(
        name="noise", split="train", images=torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    )
    for use in (
        lambda: model.encode(torch.zeros(4, 3, 8, 8)),
        lambda: zoo.Inference(model, "fp32"),
        lambda: zoo.evaluate(model, images, baseline=False),
        lambda: zoo.train(model, dataset=(images, images), epochs=1, precision="fp32"),
    ):
        with pytest.raises(PluginError) as caught:
            use()
        said = str(caught.value)
        assert said.startswith("encoder 'odd' of plugin 'odd-plugin' (odd-dist 1.0): its latent")
        assert what.replace("4×", "") in said.replace("4×", "").replace("2×", "")
        assert "\n" not in said


def noise():
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    return zoo.ImageSet(name="noise", split="train", images=images)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_part_that_raises_in_use_is_named_wherever_it_is_used(part):
    model, images = zoo.compose("odd", "odd"), noise()

    def fail(*_):
        raise KeyError("lost")

    getattr(model, part).register_forward_pre_hook(fail)
    for use in (
        lambda: model(torch.zeros(4, 3, 8, 8)),
        lambda: model.decode(model.encode(torch.zeros(4, 3, 8, 8))),
        lambda: zoo.Inference(model, "fp32"),
        lambda: zoo.evaluate(model, images, baseline=False),
        lambda: zoo.train(model, dataset=(images, images), epochs=1, precision="fp32"),
    ):
        start = rf"{part} 'odd' of plugin 'odd-plugin' \(odd-dist 1.0\): its forward pass fails on"
        with pytest.raises(PluginError, match=rf"^{start} a batch \d×[3×58]+: KeyError: 'lost'; "):
            use()


class Discrete(Encoder):
    """Has every optional method of an encoder; the method named by `fault` fails."""

    code_count = 4

    def __init__(self, fault="", image_size=8):
        super().__init__(image_size=image_size)
        self.wrong = fault

    def _fail(self, name):
        if self.wrong == name:
            raise KeyError("lost")

    def forward_with_terms(self, x):
        self._fail("forward_with_terms")
        z = self(x)
        return z, {"kl": z.mean(1) if self.wrong == "a vector as term" else z.mean()}

    def start_from_data(self, *_):
        self._fail("start_from_data")

    def report(self, batches):
        self._fail("report")
        return ["usage"] if self.wrong == "a list as report" else {"usage": len(list(batches))}

    def sample_latent(self, count, _generator):
        self._fail("sample_latent")
        return torch.zeros(count, 6 if self.wrong == "a wide sample" else 5)

    def to_codes(self, z):
        self._fail("to_codes")
        return torch.zeros(len(z), 5, dtype=torch.int64)

    def from_codes(self, codes):
        self._fail("from_codes")
        return None if self.wrong == "no latents" else torch.zeros(len(codes), 5)


def fit(model):
    return zoo.train(model, dataset=(noise(), noise()), epochs=1, precision="fp32")


OPTIONAL = {
    "forward_with_terms": (fit, "its forward pass fails on a batch 4×3×8×8"),
    "start_from_data": (lambda _: fit("odd-discrete+odd"), "its start_from_data fails on a batch"),
    "report": (lambda model: zoo.evaluate(model, noise(), baseline=False), "its report fails"),
    "sample_latent": (lambda model: model.sample(2), "its sample_latent fails"),
    "to_codes": (codes_of, "its to_codes fails on a batch 1×5"),
    "from_codes": (
        lambda model: checked_codes(model, torch.ones(2, 5)),
        "its from_codes fails on a batch 2×5",
    ),
}


def test_a_report_leaves_every_submodule_in_its_own_mode():
    model = zoo.compose("odd-discrete", "odd").train()
    model.encoder.eval()
    modes = [module.training for module in model.modules()]
    assert model.report(noise().images) == {"usage": 1}
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("method", OPTIONAL)
def test_an_optional_method_that_raises_names_its_plugin(method, monkeypatch):
    use, what = OPTIONAL[method]
    model = zoo.compose("odd-discrete", "odd").eval()
    model.encoder.wrong = method
    if method == "start_from_data":
        monkeypatch.setattr(Discrete, method, lambda *_: {}["lost"])
    start = rf"^encoder 'odd-discrete' of plugin 'odd-plugin' \(odd-dist 1.0\): {what}.*: KeyError"
    with pytest.raises(PluginError, match=start):
        use(model)


@pytest.mark.parametrize(
    ("fault", "use", "what"),
    [
        ("a vector as term", fit, "its loss term 'kl' must be a scalar tensor, got float32 "),
        ("a list as report", OPTIONAL["report"][0], "its report must return numbers by name, got"),
        (
            "a wide sample",
            OPTIONAL["sample_latent"][0],
            "its latent must be .* N×5, got float32 2×6",
        ),
        ("no latents", OPTIONAL["from_codes"][0], "its latent must be .* N×5, got None"),
    ],
)
def test_a_wrong_result_of_an_optional_method_names_its_plugin(fault, use, what):
    model = zoo.compose("odd-discrete", "odd").eval()
    model.encoder.wrong = fault
    with pytest.raises(
        PluginError, match=rf"^encoder 'odd-discrete' of plugin 'odd-plugin' .*{what}"
    ):
        use(model)


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError(), KeyboardInterrupt(), UsageError("wrong")]
)
def test_exceptions_not_caused_by_a_part_pass_unchanged(error):
    model = zoo.compose("odd", "odd")

    def fail(*_):
        raise error

    model.decoder.register_forward_pre_hook(fail)
    with pytest.raises(type(error)) as caught:
        model(torch.zeros(4, 3, 8, 8))
    assert caught.value is error


def test_an_input_of_another_dtype_is_not_attributed_to_a_part():
    with pytest.raises(RuntimeError, match="dtype"):
        zoo.compose("odd", "odd")(torch.zeros(4, 3, 8, 8, dtype=torch.float64))


class OddLoss(nn.Module):
    """Fails on a batch of more images than the check has."""

    def forward(self, reconstruction, target):
        return (reconstruction - target[:, :, :, torch.arange(len(target) * 3)]).square().mean()


@pytest.mark.parametrize("loss", ["odd-loss", "0.5*mse + 0.5*odd-loss"])
def test_a_loss_that_raises_in_training_is_named(loss):
    spec = LossSpec(
        name="odd-loss",
        factory=OddLoss,
        provenance=Provenance("odd-plugin", "odd-dist", "1.0"),
    )
    installed, images = get_registry(), noise()
    losses = {**installed.entries["loss"], "odd-loss": spec}
    what = r"it fails on a batch 4×3×8×8: IndexError"
    with (
        override(Registry({**installed.entries, "loss": losses}, installed.plugins)),
        pytest.raises(PluginError, match=rf"^loss 'odd-loss' of plugin 'odd-plugin' .*: {what}"),
    ):
        zoo.train("odd+odd", dataset=(images, images), epochs=1, precision="fp32", loss=loss)


def test_a_decoder_that_detaches_its_output_is_told_in_training(monkeypatch):
    model = zoo.compose("odd", "odd")
    monkeypatch.setattr(Decoder, "forward", lambda self, z: self.linear(z).view(-1, 3, 8, 8).data)
    images = zoo.ImageSet(
        name="noise", split="train", images=torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    )
    with pytest.raises(PluginError, match=r"decoder 'odd' of plugin 'odd-plugin' .* is detached"):
        zoo.train(model, dataset=(images, images), epochs=1, precision="fp32")


def test_the_check_leaves_the_random_state_the_modes_and_the_statistics_alone():
    torch.manual_seed(0)
    plain = Encoder()
    after = torch.rand(3)
    torch.manual_seed(0)
    checked = zoo.create_encoder("odd")
    assert torch.equal(torch.rand(3), after)
    assert all(module.training for module in checked.modules())
    for name, value in plain.state_dict().items():
        assert torch.equal(checked.state_dict()[name], value)
    assert all(p.grad is None for p in checked.parameters())


def test_nothing_is_run_on_the_meta_device_while_loading_or_on_large_images(monkeypatch):
    monkeypatch.setattr(Encoder, "calls", 0)
    with torch.device("meta"):
        zoo.create_encoder("odd")
    with loading_state():
        zoo.create_encoder("odd", fault="none")
    zoo.create_encoder("odd", fault="none", image_size=65)
    assert Encoder.calls == 0
    assert contract.LARGEST < 3 * 65**2
    zoo.create_encoder("odd")
    assert Encoder.calls == 1


def test_a_part_of_another_dtype_is_checked_in_that_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        assert zoo.create_encoder("odd").linear.weight.dtype == torch.float64
        with pytest.raises(PluginError, match=r"a tensor float64 N×5, got float16 2×5"):
            zoo.create_encoder("odd", fault="half")
    finally:
        torch.set_default_dtype(torch.float32)


def test_parts_are_built_alone_with_their_config():
    encoder = zoo.create_encoder("convae", width=2, latent_dim=5, image_size=8)
    decoder = zoo.create_decoder("convae(width=2, latent_dim=5)", image_size=8)
    x = torch.zeros(2, 3, 8, 8)
    assert encoder(x).shape == (2, 5)
    assert decoder(encoder(x)).shape == x.shape
    with pytest.raises(UnknownNameError, match="unknown encoder 'convea'; did you mean 'convae'"):
        zoo.create_encoder("convea")
    with pytest.raises(UnknownNameError, match=r"field of decoder 'convae'.*did you mean 'width'"):
        zoo.create_decoder("convae", with_=2)
    with pytest.raises(
        ConfigError, match=r"width must be .* \(character 8 of 'convae\(width=0\)'\)"
    ):
        zoo.create_encoder("convae(width=0)")
    with pytest.raises(UsageError):
        zoo.create_encoder("convae + convae")
