"""Discovery of plugins: provenance, isolation of broken ones, allow and block lists."""

import signal
import sys
import types
import warnings

import pytest

from convae_zoo import __version__, hookimpl
from convae_zoo.errors import PluginError, ZooWarning
from convae_zoo.registry.discovery import (
    ALLOWED,
    BLOCKED,
    STRICT,
    Plugin,
    load_entry_points,
    new_manager,
)
from convae_zoo.registry.registry import build_registry
from convae_zoo.registry.specs import Provenance

BROKEN = {
    "raises at import": ("raise RuntimeError('no\\nluck')", "RuntimeError: no luck"),
    "exits at import": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "syntax error": ("def (", "SyntaxError"),
    "missing dependency": ("import no_such_module", "No module named 'no_such_module'"),
    "no hooks": ("x = 1", "it implements no hook; mark one of register_corruptions"),
    "unmarked hook": (
        "def register_encoders(register): pass",
        "it implements no hook; mark one of register_corruptions",
    ),
    "misspelled hook": (
        "import convae_zoo\n@convae_zoo.hookimpl\ndef register_encoder(register): pass",
        "there is no hook 'register_encoder'; did you mean 'register_encoders'",
    ),
    "bad signature": (
        "import convae_zoo\n@convae_zoo.hookimpl\ndef register_encoders(registrar): pass",
        "Argument(s) {'registrar'} are declared in the hookimpl but can not be found",
    ),
    "raises in its hook": (
        "import convae_zoo\n@convae_zoo.hookimpl\ndef register_losses(register): 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "an exception of its own at import": (
        "class Own(BaseException):\n    def __str__(self): return 'mine'\nraise Own",
        "Own: mine",
    ),
    "an exception that cannot be printed": (
        "class Own(Exception):\n    def __str__(self): raise self\nraise Own",
        "Own",
    ),
    "ends a generator at import": ("raise GeneratorExit", "GeneratorExit"),
    "interrupts itself at import": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "makes warnings errors and raises": (
        "import warnings\nwarnings.simplefilter('error')\n1 / 0",
        "ZeroDivisionError",
    ),
    "ends a generator in its hook": (
        "import convae_zoo as z\n@z.hookimpl\ndef register_losses(register): raise GeneratorExit",
        "GeneratorExit",
    ),
    "exits in its hook": (
        "import convae_zoo\n@convae_zoo.hookimpl\ndef register_losses(register): exit(1)",
        "SystemExit: 1",
    ),
}


@pytest.fixture(autouse=True)
def _own_plugins_only(monkeypatch):
    for variable in (STRICT, ALLOWED, BLOCKED):
        monkeypatch.delenv(variable, raising=False)


def installed():
    """Load what is installed, hooks included."""
    manager = load_entry_points()
    registry = build_registry(manager)
    return registry, {(p.name, p.provenance.distribution): p for p in registry.plugins}


def test_a_plugin_knows_its_distribution_and_version(plugin_site):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder}, version="2.5")
    registry, plugins = installed()
    provenance = Provenance("tiny", "tiny-dist", "2.5")
    assert plugins["tiny", "tiny-dist"] == Plugin(provenance, "loaded", "")
    assert registry.get("encoder", "tiny").provenance == provenance
    assert registry.get("encoder", "convae").provenance.distribution == "convae-zoo"


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_left_out_entirely_with_its_reason_and_warned_of_once(plugin_site, case):
    source, reason = BROKEN[case]
    registers_first = (
        f"{plugin_site.encoder}\n@hookimpl\ndef register_decoders(register):\n"
        "    register(decoder('half'))\n"
    )
    whole = f"{registers_first}\n{source}" if "in its hook" in case else source
    plugin_site.install("broken-dist", {"broken": whole})
    plugin_site.install("fine-dist", {"fine": plugin_site.encoder.replace('"tiny"', '"fine"')})
    with pytest.warns(ZooWarning, match="plugin 'broken' of broken-dist 1.0 is left out") as caught:
        registry, plugins = installed()
    assert len(caught) == 1
    broken = plugins["broken", "broken-dist"]
    assert broken.status == "broken"
    assert reason in broken.reason
    assert "\n" not in broken.reason
    assert "tiny" not in registry.names("encoder")
    assert "half" not in registry.names("decoder")
    assert {"fine", "convae"} <= set(registry.names("encoder"))
    assert plugins["fine", "fine-dist"].status == "loaded"


@pytest.mark.parametrize("case", BROKEN)
def test_in_strict_mode_a_broken_plugin_raises(plugin_site, monkeypatch, case):
    plugin_site.install("broken-dist", {"broken": BROKEN[case][0]})
    monkeypatch.setenv(STRICT, "1")
    with pytest.raises(PluginError, match=r"plugin 'broken' of broken-dist 1.0 is left out"):
        installed()


@pytest.mark.parametrize("value", ["", "0"])
def test_strict_mode_is_off_where_its_variable_is_empty_or_0(plugin_site, monkeypatch, value):
    plugin_site.install("broken-dist", {"broken": "1 / 0"})
    monkeypatch.setenv(STRICT, value)
    with pytest.warns(ZooWarning, match="broken"):
        installed()


def test_an_interrupt_by_the_user_does_not_break_a_plugin():
    def load():
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        new_manager().add(Provenance("mine", "dist", "1"), load)


def test_of_two_plugins_with_one_name_the_first_distribution_in_order_keeps_it(plugin_site):
    for letter in "ba":
        source = plugin_site.encoder.replace('"tiny"', f'"from-{letter}"')
        plugin_site.install(f"{letter}-dist", {"same": source})
    with pytest.warns(
        ZooWarning, match="'same' of b-dist 1.0 is left out: a-dist also has a plugin"
    ):
        registry, plugins = installed()
    assert plugins["same", "a-dist"].status == "loaded"
    assert plugins["same", "b-dist"].status == "broken"
    assert "from-a" in registry.names("encoder")
    assert "from-b" not in registry.names("encoder")
    assert "site_b_dist_same" not in sys.modules


def test_no_plugin_replaces_the_zoos_own(plugin_site):
    plugin_site.install("a-dist", {"reference": plugin_site.encoder})
    with pytest.warns(
        ZooWarning, match="'reference' of a-dist 1.0 is left out: convae-zoo also has"
    ):
        registry, _ = installed()
    assert "convae" in registry.names("encoder")
    assert "tiny" not in registry.names("encoder")


def test_the_second_entry_point_of_one_module_is_left_out(plugin_site):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder})
    (points,) = plugin_site.path.glob("*.dist-info/entry_points.txt")
    points.write_text("[convae_zoo]\none = site_tiny_dist_tiny\ntwo = site_tiny_dist_tiny\n")
    with pytest.warns(ZooWarning, match="'two' of .* it is the same object as plugin 'one'"):
        registry, _ = installed()
    assert "tiny" in registry.names("encoder")


@pytest.mark.parametrize(
    ("variable", "value"), [(BLOCKED, "reference, tiny"), (ALLOWED, "reference")]
)
def test_the_code_of_a_blocked_plugin_is_never_imported(plugin_site, monkeypatch, variable, value):
    proof = plugin_site.path / "imported"
    plugin_site.install("tiny-dist", {"tiny": f"open({str(proof)!r}, 'w').close(); 1 / 0"})
    monkeypatch.setenv(variable, value)
    _, plugins = installed()
    tiny = plugins["tiny", "tiny-dist"]
    assert tiny.status == "blocked"
    assert variable in tiny.reason
    assert not proof.exists()
    reference = plugins["reference", "convae-zoo"]
    assert reference.status == ("blocked" if variable == BLOCKED else "loaded")


def test_the_block_list_wins_over_the_allow_list(plugin_site, monkeypatch):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder})
    monkeypatch.setenv(ALLOWED, "tiny")
    monkeypatch.setenv(BLOCKED, " tiny ,")
    registry, plugins = installed()
    assert {p.status for p in plugins.values()} == {"blocked"}
    assert registry.names("encoder") == []


def test_a_blocked_plugin_leaves_its_name_to_no_other_distribution(plugin_site, monkeypatch):
    for letter in "ab":
        plugin_site.install(f"{letter}-dist", {"same": plugin_site.encoder})
    monkeypatch.setenv(BLOCKED, "same")
    _, plugins = installed()
    assert plugins["same", "a-dist"].status == plugins["same", "b-dist"].status == "blocked"


@pytest.mark.parametrize("variable", [ALLOWED, BLOCKED])
def test_a_listed_name_that_is_not_installed_is_reported_with_the_nearest(monkeypatch, variable):
    monkeypatch.setenv(variable, "refrence")
    with pytest.warns(ZooWarning, match=f"{variable} names 'refrence'.*mean 'reference'"):
        load_entry_points()


def test_a_distribution_without_metadata_still_loads(plugin_site):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder})
    (metadata,) = plugin_site.path.glob("*.dist-info/METADATA")
    metadata.write_text("")
    registry, _ = installed()
    provenance = registry.get("encoder", "tiny").provenance
    assert provenance == Provenance("tiny", "an unknown distribution", "?")


def test_a_distribution_whose_metadata_is_not_utf_8_is_loaded_under_its_name(plugin_site):
    plugin_site.install("latin-dist", {"tiny": plugin_site.encoder}, version="1.5")
    (metadata,) = plugin_site.path.glob("*.dist-info/METADATA")
    metadata.write_bytes(metadata.read_bytes() + b"Author: Andr\xe9\n")
    registry, _ = installed()
    assert registry.get("encoder", "tiny").provenance == Provenance("tiny", "latin-dist", "1.5")


@pytest.mark.parametrize("damage", [b"\n\xff\xfe = nowhere\n", b"\nno entry point\n"])
def test_damaged_entry_points_leave_out_their_own_distribution_alone(plugin_site, damage):
    plugin_site.install("fine-dist", {"tiny": plugin_site.encoder})
    plugin_site.install("torn-dist", {"torn": "raise RuntimeError('imported')"})
    (points,) = plugin_site.path.glob("torn_dist*/entry_points.txt")
    points.write_bytes(points.read_bytes() + damage)
    with pytest.warns(ZooWarning, match=r"entry_points\.txt of torn-dist is damaged; reinstall it"):
        registry, plugins = installed()
    assert plugins["torn", "torn-dist"].status == "broken"
    assert {"tiny", "convae"} <= set(registry.names("encoder"))


def test_damaged_entry_points_of_a_distribution_without_plugins_are_ignored(plugin_site):
    plugin_site.install("other-dist", {})
    (points,) = plugin_site.path.glob("other_dist*/entry_points.txt")
    points.write_bytes(b"[console_scripts]\n\xff = nowhere:main\n")
    _, plugins = installed()
    assert not [p for p in plugins.values() if p.status == "broken"]


def test_warning_filters_that_a_plugin_sets_end_with_its_import(plugin_site):
    source = f"import warnings\nwarnings.simplefilter('error')\n{plugin_site.encoder}"
    plugin_site.install("filters-dist", {"filters": source})
    before = list(warnings.filters)
    registry, _ = installed()
    assert "tiny" in registry.names("encoder")
    assert list(warnings.filters) == before


def test_what_a_plugin_prints_at_import_and_in_a_hook_goes_to_stderr(plugin_site, capsys):
    source = plugin_site.encoder.replace(
        "def register_encoders(register):", "def register_encoders(register):\n    print('hook')"
    )
    plugin_site.install("loud-dist", {"loud": f"print('import')\n{source}"})
    registry, _ = installed()
    assert "tiny" in registry.names("encoder")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "import\nhook\n")


def test_an_object_can_be_a_plugin():
    class Plugged:
        @hookimpl
        def register_losses(self, register):
            """Register nothing."""

    manager = new_manager()
    manager.add(Provenance("mine", "dist", "1"), Plugged)
    assert [p.name for p in manager.loaded()] == ["mine"]


def test_an_object_that_pluggy_cannot_hold_breaks_no_other_plugin(plugin_site):
    source = "import types\nplugin = types.SimpleNamespace(**globals())"
    plugin_site.install("odd-dist", {"odd": f"{plugin_site.encoder}\n{source}"})
    (points,) = plugin_site.path.glob("*.dist-info/entry_points.txt")
    points.write_text("[convae_zoo]\nodd = site_odd_dist_odd:plugin\n")
    with pytest.warns(ZooWarning, match="unhashable type: 'types.SimpleNamespace'"):
        registry, _ = installed()
    assert "convae" in registry.names("encoder")


def test_a_plugin_added_under_a_taken_name_leaves_the_first_in_place():
    manager = new_manager()

    def module():
        made = types.ModuleType("made")
        made.register_losses = hookimpl(lambda register: None)  # noqa: ARG005 - pluggy goes by the name
        return made

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZooWarning)
        manager.add(Provenance("mine", "one", "1"), module)
        manager.add(Provenance("mine", "two", "1"), module)
    assert [p.provenance.distribution for p in manager.loaded()] == ["one"]
    assert manager.hooks.has_plugin("mine")


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("convae-zoo>=99.1", "convae-zoo>=99.1"),
        ("convae_zoo >=99.1", "convae-zoo>=99.1"),
        ("Convae-Zoo[test] (>=99.1)", "convae-zoo>=99.1"),
        ("convae.zoo!=3,>=99.1", "convae-zoo!=3,>=99.1"),
        ("convae-zoo~=99.1", "convae-zoo~=99.1"),
        ("convae-zoo<0.0.1", "convae-zoo<0.0.1"),
        ("convae-zoo>=99; python_version > '3'", "convae-zoo>=99"),
    ],
)
def test_a_plugin_built_for_another_zoo_is_not_imported_and_says_what_to_do(
    plugin_site, requirement, said
):
    source = "raise RuntimeError('imported')"
    plugin_site.install("new-dist", {"new": source}, requires=("torch>=2", requirement))
    with pytest.warns(ZooWarning, match="plugin 'new' of new-dist"):
        _, plugins = installed()
    assert plugins["new", "new-dist"].status == "broken"
    assert plugins["new", "new-dist"].reason == (
        f"it requires {said} but {__version__} is installed; pip install {said!r}"
    )
    assert plugins["reference", "convae-zoo"].status == "loaded"


@pytest.mark.parametrize(
    "requirement",
    [
        "convae-zoo",
        f"convae-zoo>={__version__}",
        f"convae-zoo>={__version__}.0",
        "convae-zoo<99",
        "convae-zoo-extras>=99",
        "torch>=99",
        "convae-zoo[test]>=99; extra == 'test'",
        "convae-zoo what is this",
    ],
)
def test_a_plugin_whose_requirement_this_zoo_meets_is_loaded(plugin_site, requirement):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder}, requires=(requirement,))
    _, plugins = installed()
    assert plugins["tiny", "tiny-dist"].status == "loaded"
