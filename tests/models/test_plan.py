"""From a name and a config to a module; what does not fit is refused before anything is built."""

import types

import attrs
import pytest
import torch
from convae_reference.configs import ConvaeConfig
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convae_zoo import compose, create_model, hookimpl, registry
from convae_zoo.errors import (
    ConfigError,
    ContractError,
    PluginError,
    UnknownNameError,
    UsageError,
    ZooError,
)
from convae_zoo.models.plan import plan_compose
from convae_zoo.registry import factories as build
from convae_zoo.registry import fields
from convae_zoo.registry.discovery import new_manager
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec, LossSpec, ModelSpec, Provenance


@attrs.frozen(kw_only=True)
class VectorConfig:
    size: int = fields.integer(4)
    only_here: str = fields.choice("a", ("a", "b"))

    @property
    def input_shape(self):
        return (1, 2, 2)

    @property
    def latent_shape(self):
        return (self.size,)


@attrs.frozen(kw_only=True)
class SpatialConfig:
    size: int = fields.integer(4)
    channels: int = fields.integer(1)

    @property
    def latent_shape(self):
        return (self.size, 1, 1)

    @property
    def output_shape(self):
        return (self.channels, 2, 2)


@attrs.frozen(kw_only=True)
class FlatConfig(SpatialConfig):
    @property
    def latent_shape(self):
        return (self.size,)


@attrs.frozen(kw_only=True)
class RangedConfig(FlatConfig):
    value_range: tuple[float, float] = fields.value_range()


class Zeros(nn.Module):
    """Maps whatever batch to zeros of one shape."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.new_zeros(len(x), *self.shape)


@pytest.fixture
def calls():
    """A registry of parts whose factories note that they were called."""
    noted = []

    def encoder(**config):
        noted.append(config)
        return Zeros(config["size"])

    def decoder(**config):
        noted.append(config)
        return Zeros(config["channels"], 2, 2)

    def register_encoders(register):
        register(EncoderSpec(name="vector", factory=encoder, config=VectorConfig))

    def register_decoders(register):
        register(DecoderSpec(name="spatial", factory=decoder, config=SpatialConfig))
        register(DecoderSpec(name="flat", factory=decoder, config=FlatConfig))
        register(DecoderSpec(name="ranged", factory=decoder, config=RangedConfig))
        register(DecoderSpec(name="odd", factory=dict, config=FlatConfig))
        register(DecoderSpec(name="lost", factory="no_such_module:Part", config=FlatConfig))
        register(DecoderSpec(name="greedy", factory=lambda: None, config=FlatConfig))

    def register_models(register):
        register(
            ModelSpec(
                name="tiny",
                encoder="vector",
                decoder="flat",
                encoder_config={"size": 8},
                decoder_config={"size": 8},
                value_range=[0, 1],
            )
        )
        register(ModelSpec(name="orphan", encoder="gone", decoder="flat"))

    module = types.ModuleType("mine")
    for hook in (register_encoders, register_decoders, register_models):
        setattr(module, hook.__name__, hookimpl(hook))
    manager = new_manager()
    manager.add(Provenance("mine", "mine-dist", "1"), lambda: module)
    with registry.override(build_registry(manager)):
        yield noted


def test_parts_that_fit_are_joined(calls):
    model = compose("vector", "flat", {"size": 3}, {"size": 3}, value_range=(0, 1))
    assert calls == [{"size": 3, "only_here": "a"}, {"size": 3, "channels": 1}]
    assert (model.latent_shape, model.image_shape, model.value_range) == ((3,), (1, 2, 2), (0, 1))
    assert model.name == "vector+flat"


def test_a_part_with_a_value_range_field_gets_the_models(calls):
    compose("vector", "ranged", value_range=(0, 1))
    assert calls[-1] == {"size": 4, "channels": 1, "value_range": (0.0, 1.0)}


def test_a_part_set_to_another_value_range_is_refused(calls):
    message = (
        r"decoder 'ranged' has value_range \(0.0, 2.0\) but the model has \(0.0, 1.0\); "
        "leave it out"
    )
    with pytest.raises(ContractError, match=message):
        compose("vector", "ranged", {}, {"value_range": [0.0, 2.0]}, value_range=(0, 1))
    assert calls == []


@pytest.mark.parametrize(
    ("decoder", "encoder_config", "decoder_config", "message"),
    [
        (
            "flat",
            {"size": 5},
            {"size": 6},
            (
                "encoder 'vector' returns a latent of shape 5 but decoder 'flat' expects 6; "
                "give both the same latent shape"
            ),
        ),
        (
            "spatial",
            {},
            {},
            (
                "encoder 'vector' returns a latent of shape 4 but decoder 'spatial' expects 4×1×1; "
                "give both the same latent shape"
            ),
        ),
        (
            "flat",
            {},
            {"channels": 3},
            (
                "encoder 'vector' expects images of shape 1×2×2 but decoder 'flat' returns 3×2×2; "
                "give both the same image shape"
            ),
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_both_shapes_and_nothing_is_built(
    calls, decoder, encoder_config, decoder_config, message
):
    with pytest.raises(ContractError) as caught:
        compose("vector", decoder, encoder_config, decoder_config)
    assert str(caught.value) == message
    assert calls == []


@given(st.integers(1, 9), st.integers(1, 9))
def test_parts_of_the_reference_fit_if_and_only_if_their_latents_agree(encoder_dim, decoder_dim):
    def plan():
        return plan_compose(
            "convae", "convae", {"latent_dim": encoder_dim}, {"latent_dim": decoder_dim}
        )

    if encoder_dim == decoder_dim:
        assert plan().latent_shape == (encoder_dim,)
    else:
        with pytest.raises(
            ContractError, match=f"latent of shape {encoder_dim} .* expects {decoder_dim};"
        ):
            plan()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: compose("vectr", "flat"), UnknownNameError, "unknown encoder 'vectr'; did you"),
        (lambda: compose("vector", "flt"), UnknownNameError, "unknown decoder 'flt'; did you mean"),
        (lambda: create_model("tny"), UnknownNameError, "unknown model 'tny'; did you mean 'tiny'"),
        (lambda: create_model("orphan"), UnknownNameError, "unknown encoder 'gone'; known: vector"),
        (
            lambda: create_model("tiny", sise=3),
            UnknownNameError,
            "unknown override of model 'tiny': 'sise'; did you mean 'size'?",
        ),
        (
            lambda: compose("vector", "flat", {"sise": 3}),
            UnknownNameError,
            "unknown field of encoder 'vector': 'sise'; did you mean 'size'?",
        ),
        (
            lambda: create_model("tiny", size=0),
            ConfigError,
            "encoder 'vector': size must be a whole number of at least 1, got 0",
        ),
        (
            lambda: create_model("tiny.photos"),
            UsageError,
            "'tiny.photos' names trained weights: load_model('tiny.photos') loads them",
        ),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_builds_nothing(calls, call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
    assert caught.value.exit_status == 2
    assert calls == []


def test_an_override_applies_to_every_part_that_has_the_field(calls):
    model = create_model("tiny", size=3, only_here="b")
    assert calls == [{"size": 3, "only_here": "b"}, {"size": 3, "channels": 1}]
    assert model.name == "tiny"
    assert model.value_range == (0, 1)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ("odd", "its factory must return an nn.Module, got {'size': 4"),
        (
            "lost",
            "factory 'no_such_module:Part' cannot be imported: ModuleNotFoundError: No module",
        ),
        ("greedy", "its factory failed: TypeError: "),
    ],
)
@pytest.mark.usefixtures("calls")
def test_a_factory_that_breaks_its_contract_is_the_plugins_fault(decoder, message):
    with pytest.raises(PluginError) as caught:
        compose("vector", decoder)
    line = str(caught.value)
    assert message in line
    assert line.startswith(f"decoder {decoder!r} of plugin 'mine' (")
    assert line.endswith(f"; report the output of 'convae-zoo verify {decoder}' to its author")
    assert caught.value.exit_status == 1


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (
            "convae_zoo.registry.factories:nothing",
            "AttributeError: module 'convae_zoo.registry.factories' has no attribute",
        ),
        ("site_raising:Part", "RuntimeError: no luck"),
    ],
)
def test_a_factory_string_that_cannot_be_resolved_says_why(tmp_path, monkeypatch, factory, reason):
    (tmp_path / "site_raising.py").write_text("raise RuntimeError('no luck')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=f"factory '{factory}' cannot be imported: {reason}"):
        build.resolve(factory)


def test_a_factory_is_found_by_its_import_string():
    assert build.resolve("torch.nn:Flatten") is nn.Flatten
    assert build.resolve(nn.Flatten) is nn.Flatten


values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))
configs = st.dictionaries(
    st.sampled_from([f.name for f in attrs.fields(ConvaeConfig)]) | st.text(max_size=6), values
)


@given(configs)
def test_any_config_is_accepted_or_refused_in_one_line(config):
    spec = registry.get_registry().get("encoder", "convae")
    try:
        built = build.make_config(spec, config)
    except ZooError as refused:
        error = refused
    else:
        assert build.make_config(spec, build.config_values(built)) == built
        assert all(n > 0 for n in (*built.input_shape, *built.latent_shape))
        return
    assert error.exit_status == 2
    assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"latent_dim": 0}, "latent_dim must be a whole number of at least 1, got 0"),
        ({"image_size": 30}, "image_size must be .* divisible by 4, got 30"),
        ({"latent_dim": "64"}, "latent_dim must be a whole number of at least 1, got '64'"),
        ({"activation": "rleu"}, "activation must be one of relu, leaky_relu, .*, got 'rleu'"),
        ({"width": True}, "width must be a whole number of at least 1, got True"),
    ],
)
def test_a_config_of_the_reference_out_of_range_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        create_model("convae-200", **override)


def test_a_loss_is_built_with_its_config():
    spec = LossSpec(name="x", factory="torch.nn:L1Loss")
    assert isinstance(build.build(spec, build.make_config(spec, {})), nn.L1Loss)
    assert build.kind_of(spec) == "loss"


def test_fresh_weights_follow_the_seed():
    torch.manual_seed(3)
    one = create_model("convae-200", width=2, latent_dim=4)
    torch.manual_seed(3)
    two = create_model("convae-200", width=2, latent_dim=4)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"latent_dim": 10**400}, "latent_dim must be a whole number of at least 1, below 2^64"),
        ({"latent_dim": 10**19}, "latent_dim=10000000000000000000 is too large"),
        (
            {"width": 10**15},
            "width=1000000000000000 is too large: it needs 108000000000000000 bytes",
        ),
    ],
)
def test_the_error_of_a_size_too_large_for_memory_names_its_field(sizes, words):
    with pytest.raises(ConfigError) as caught:
        create_model("convae-200", **sizes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
