"""The registry: names to specs, built once and frozen."""

import fnmatch
import threading
import types

import attrs
import pytest
from convae_reference.configs import ConvaeConfig
from hypothesis import given
from hypothesis import strategies as st

import convae_zoo
from convae_zoo import hookimpl
from convae_zoo.errors import PluginError, UnknownNameError, ZooWarning
from convae_zoo.registry import fields, find_model, get_registry, list_models, model_info, override
from convae_zoo.registry.discovery import STRICT, load_entry_points, new_manager
from convae_zoo.registry.kinds import KINDS
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import (
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Provenance,
    WeightsSpec,
)
from registries import registry_of


def loss(name):
    return LossSpec(name=name, factory="nowhere:Loss")


@pytest.mark.parametrize(
    ("hook", "expected", "wrong"),
    [
        ("encoders", EncoderSpec, DecoderSpec(name="x", factory="a:B", config=ConvaeConfig)),
        ("decoders", DecoderSpec, EncoderSpec(name="x", factory="a:B", config=ConvaeConfig)),
        ("losses", LossSpec, DatasetSpec(name="x", factory="a:B")),
        ("datasets", DatasetSpec, loss("x")),
        ("models", ModelSpec, {"name": "x"}),
        ("losses", LossSpec, LossSpec),
    ],
)
def test_a_spec_of_the_wrong_kind_is_refused_with_the_plugin_and_the_expected_class(
    hook, expected, wrong
):
    message = f"plugin 'mine' of mine-dist 1 is left out: register_{hook} takes {expected.__name__}"
    with pytest.warns(ZooWarning, match=message):
        registry = registry_of(mine={hook: [wrong]})
    assert not any(registry.entries.values())


def test_a_name_registered_twice_names_both_distributions_and_never_overwrites():
    first, second = loss("same"), loss("same")
    with pytest.warns(
        ZooWarning, match="loss 'same' of two-dist is already registered by one-dist"
    ):
        registry = registry_of(one={"losses": [first]}, two={"losses": [loss("other"), second]})
    assert registry.names("loss") == ["same"], "the second plugin is left out whole"
    assert registry.get("loss", "same").provenance.distribution == "one-dist"


def test_a_plugin_is_left_out_entirely_if_only_its_last_hook_fails():
    decoder = DecoderSpec(name="fine", factory="a:B", config=ConvaeConfig)
    with pytest.warns(ZooWarning, match="is already registered by one-dist"):
        registry = registry_of(
            one={"models": [ModelSpec(name="m", encoder="e", decoder="d")]},
            two={"decoders": [decoder], "models": [ModelSpec(name="m", encoder="e", decoder="d")]},
        )
    assert registry.names("decoder") == []


def test_one_plugin_cannot_register_a_name_twice_either():
    with pytest.warns(ZooWarning, match="of one-dist is already registered by one-dist"):
        registry = registry_of(one={"losses": [loss("same"), loss("same")]})
    assert registry.names("loss") == []


def test_kinds_have_separate_namespaces():
    parts = {
        "encoders": [EncoderSpec(name="same", factory="a:B", config=ConvaeConfig)],
        "decoders": [DecoderSpec(name="same", factory="a:B", config=ConvaeConfig)],
        "losses": [loss("same")],
    }
    registry = registry_of(one=parts)
    assert [kind for kind in KINDS if registry.names(kind)] == ["encoder", "decoder", "loss"]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"latent_shape": (8,)},
            r"must have a property input_shape, a tuple \(C, H, W\), got None",
        ),
        ({"input_shape": (3, 8, 8)}, r"latent_shape, a tuple \(D,\) or \(C, H, W\), got None"),
        ({"input_shape": (3, 8, 8), "latent_shape": 8}, "got 8"),
        ({"input_shape": (3, 8, 8), "latent_shape": [8]}, r"got \[8\]"),
        ({"input_shape": (3, 8, 8), "latent_shape": (8, 8)}, r"got \(8, 8\)"),
        ({"input_shape": (3, 8, 8), "latent_shape": (0,)}, r"got \(0,\)"),
        ({"input_shape": (8, 8), "latent_shape": (8,)}, r"got \(8, 8\)"),
        ({"input_shape": (3, 8, 8.0), "latent_shape": (8,)}, r"got \(3, 8, 8.0\)"),
    ],
)
def test_a_part_must_declare_its_shapes(shapes, message):
    config = attrs.make_class("Config", {}, class_body=shapes)
    spec = EncoderSpec(name="x", factory="a:B", config=config)
    with pytest.warns(ZooWarning, match=f"config Config of encoder 'x' .*{message}"):
        registry_of(mine={"encoders": [spec]})


def test_a_config_whose_default_breaks_its_own_rule_is_refused_at_registration():
    config = attrs.make_class("C", {"n": fields.integer(0)})
    with pytest.warns(ZooWarning, match="n must be a whole number of at least 1, got 0"):
        registry_of(mine={"losses": [LossSpec(name="x", factory="a:B", config=config)]})


def test_an_unknown_name_suggests_the_nearest():
    registry = registry_of(one={"losses": [loss("charbonnier"), loss("mse")]})
    with pytest.raises(UnknownNameError) as caught:
        registry.get("loss", "charbonier")
    assert str(caught.value) == "unknown loss 'charbonier'; did you mean 'charbonnier'?"


def test_an_unknown_name_hints_at_broken_plugins():
    with pytest.warns(ZooWarning):
        registry = registry_of(one={"losses": [loss("mse")]}, two={"losses": [loss("mse")]})
    with pytest.raises(
        UnknownNameError, match=r"\(broken plugins: two; see 'convae-zoo plugins'\)"
    ):
        registry.get("loss", "l1")


def test_the_registry_is_frozen():
    registry = registry_of(one={"losses": [loss("mse")]})
    with pytest.raises(TypeError):
        registry.entries["loss"] = {}
    with pytest.raises(TypeError):
        registry.entries["loss"]["l1"] = loss("l1")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        registry.entries = {}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        registry.plugins[0].status = "broken"


def test_a_registrar_kept_for_later_changes_nothing():
    kept = []
    module = types.ModuleType("late")
    module.register_losses = hookimpl(lambda register: kept.append(register))  # noqa: PLW0108 - pluggy goes by the name
    manager = new_manager()
    manager.add(Provenance("late", "late-dist", "1"), lambda: module)
    registry = build_registry(manager)
    kept[0](loss("later"))
    assert registry.names("loss") == []


def test_the_installed_registry_is_built_once_for_all_threads():
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(get_registry())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert {id(registry) for registry in seen} == {id(get_registry())}


def test_the_installed_registry_agrees_with_a_fresh_one():
    fresh = build_registry(load_entry_points())
    assert {k: set(v) for k, v in fresh.entries.items()} == {
        k: set(v) for k, v in get_registry().entries.items()
    }


@pytest.mark.parametrize("where", ["hook", "import"])
def test_a_plugin_that_uses_the_registry_while_it_is_built_is_broken(plugin_site, where):
    asks = "__import__('convae_zoo').list_models()"
    source = plugin_site.encoder + (
        f"\n@hookimpl\ndef register_models(register): {asks}\n"
        if where == "hook"
        else f"\n{asks}\n"
    )
    plugin_site.install("asking-dist", {"asking": source})
    done = plugin_site.run("list", "encoders")
    assert done.returncode == 0
    assert "\n  tiny " not in done.stdout
    assert "convae" in done.stdout
    assert done.stderr.count("the registry is not available while plugins are loading") == 1
    assert done.stderr.count("\n") == 1


def test_a_broken_plugin_is_warned_of_once_however_often_the_registry_is_used(plugin_site):
    plugin_site.install("broken-dist", {"broken": "1 / 0"})
    code = (
        "import warnings, convae_zoo\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(3): convae_zoo.list_models(); convae_zoo.model_info('convae-200')\n"
        "print(len(seen))"
    )
    assert plugin_site.python(code).stdout == "1\n"


def test_strict_mode_raises_each_time(plugin_site):
    plugin_site.install("broken-dist", {"broken": "1 / 0"})
    code = (
        "import convae_zoo\n"
        "for _ in range(2):\n"
        "    try: convae_zoo.list_models()\n"
        "    except convae_zoo.ZooError as error: print(type(error).__name__)\n"
    )
    assert plugin_site.python(code, **{STRICT: "1"}).stdout == "PluginError\n" * 2


@given(st.text("convae-120*?[]", max_size=12))
def test_a_pattern_selects_the_matching_names_in_order(pattern):
    everything = list_models()
    assert everything == sorted(everything)
    assert list_models(pattern) == [n for n in everything if fnmatch.fnmatchcase(n, pattern)]


def test_wildcards_work_for_every_kind():
    assert {"convae-200", "convae-1000"} <= set(list_models("convae-*"))
    assert list_models("convae-2?0") == ["convae-200"]
    assert list_models("nothing-*") == []
    assert convae_zoo.list_encoders("conv*")
    assert convae_zoo.list_decoders("conv*")
    assert "mse" in convae_zoo.list_losses("m?e")
    assert "mse" not in convae_zoo.list_datasets()


def test_pretrained_lists_weights_that_have_a_file(plugin_site):
    source = (
        "from convae_zoo import hookimpl\n"
        "from convae_zoo.registry.specs import ModelSpec, WeightsSpec\n"
        "@hookimpl\n"
        "def register_models(register):\n"
        "    sha256 = '0' * 64\n"
        "    weights = [WeightsSpec(tag='b', dataset='d', file='p:b.safetensors', sha256=sha256),\n"
        "               WeightsSpec(tag='a', dataset='d', file='p:a.safetensors', sha256=sha256),\n"
        "               WeightsSpec(tag='none', dataset='d')]\n"
        "    register(ModelSpec(name='mine', encoder='e', decoder='d', weights=weights))\n"
        "    register(ModelSpec(name='bare', encoder='e', decoder='d'))\n"
    )
    plugin_site.install("mine-dist", {"mine": source})
    code = (
        "from convae_zoo import list_models as l\n"
        "print(l('mine*', pretrained=True), l('mine', pretrained=True), l('*.b', pretrained=True),"
        " l('bare', pretrained=True), l('mine*'))"
    )
    both = "['mine.a', 'mine.b']"
    assert plugin_site.python(code).stdout == f"{both} {both} ['mine.b'] [] ['mine']\n"


def test_a_models_spec_is_found_by_its_name():
    assert model_info("convae-200").recipe.batch_size == 64
    assert find_model("convae-200") == (model_info("convae-200"), None)
    with pytest.raises(UnknownNameError, match="unknown model 'convae-20'; did you mean 'convae-2"):
        model_info("convae-20")


def test_weights_are_found_by_model_and_tag():
    weights = WeightsSpec(tag="photos", dataset="photos")
    registry = registry_of(
        one={"models": [ModelSpec(name="m", encoder="e", decoder="d", weights=[weights])]}
    )
    with override(registry):
        model, found = find_model("m.photos")
        assert model == model_info("m")
        assert found == registry.get("weights", "m.photos")
        assert (found.model, found.tag, found.provenance.plugin) == ("m", "photos", "one")
        assert model_info("m.photos") is model_info("m")
        with pytest.raises(UnknownNameError) as caught:
            find_model("m.photo")
    assert str(caught.value) == "unknown weights of model 'm': 'photo'; did you mean 'photos'?"


def test_strict_mode_raises_for_a_hook_that_raises(monkeypatch):
    monkeypatch.setenv(STRICT, "1")
    with pytest.raises(PluginError, match="loss 'same' of two-dist is already registered"):
        registry_of(one={"losses": [loss("same")]}, two={"losses": [loss("same")]})
